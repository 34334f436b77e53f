const NOTHING = "–";

export type Format = ReturnType<typeof createFormat>;

/** How a number is meant, as far as its unit and name tell. */
export type Kind = "money" | "share" | "times" | "days" | "plain";

/** Texts of numbers and dates for one locale and currency. What is missing or no number reads as a dash. */
export function createFormat(locale: string, currency: string) {
  const style = (options: Intl.NumberFormatOptions) => {
    const made = new Intl.NumberFormat(locale, options);
    return (value: number | null | undefined) => (isNumber(value) ? made.format(value) : NOTHING);
  };
  const cash = { style: "currency", currency, currencyDisplay: "narrowSymbol" } as const;
  const plain = style({ maximumFractionDigits: 2 });
  const tenths = style({ maximumFractionDigits: 1 });
  const precise = style({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
  const whole = style({ maximumFractionDigits: 0 });
  const cents = style(cash);
  const round = style({ ...cash, maximumFractionDigits: 0 });
  const compact = style({ ...cash, notation: "compact", maximumFractionDigits: 1 });
  const fine = style({ style: "percent", maximumFractionDigits: 1 });
  const coarse = style({ style: "percent", maximumFractionDigits: 0 });
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const moment = new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });

  /** A chance is never said to be certain: 0.9999 is not 100%. */
  const chance = (p: number | null | undefined) => {
    if (!isNumber(p)) return NOTHING;
    if (p > 0.999) return ">99.9%";
    if (p > 0 && p < 0.001) return "<0.1%";
    return p < 0.1 || p > 0.99 ? fine(p) : coarse(p);
  };
  /** An amount without small change, unless it is small itself. */
  const money = (value: number | null | undefined) => (isNumber(value) && value !== 0 && Math.abs(value) < 10 ? cents(value) : round(value));
  const days = (value: number | null | undefined) => {
    if (!isNumber(value)) return NOTHING;
    if (value < 1) return "less than a day";
    const rounded = value < 10 ? Math.round(value * 2) / 2 : Math.round(value);
    return `${plain(rounded)} ${rounded === 1 ? "day" : "days"}`;
  };
  const times = (value: number | null | undefined) => (isNumber(value) ? `${plain(Math.round(value * 100) / 100)}×` : NOTHING);

  const value = (given: unknown, kind: Kind): string => {
    if (typeof given === "string") return given === "" ? NOTHING : given;
    if (!isNumber(given)) return NOTHING;
    if (kind === "money") return money(given);
    if (kind === "share") return given <= 1 ? fine(given) : plain(given);
    if (kind === "days") return given < 10 ? tenths(given) : whole(given);
    return kind === "times" ? times(given) : plain(given);
  };

  return {
    number: plain,
    tenths,
    percent: coarse,
    precise,
    whole,
    money,
    moneyShort: compact,
    chance,
    days,
    times,
    value,
    /** `low` to `high` as one text; equal ends are said once. */
    range: (low: number, high: number, say: (value: number) => string) =>
      say(low) === say(high) ? say(low) : `${say(low)} – ${say(high)}`,
    /** When something `value` days away happens. */
    when: (value: number | null | undefined) => (isNumber(value) ? (value < 1 ? "within a day" : `in about ${days(value)}`) : NOTHING),
    /** A calendar day (`2026-11-24`), which has no zone. */
    day: (text: string | null | undefined) => formatDate(text, day),
    /** An instant, in the reader's zone. */
    moment: (text: string | null | undefined) => formatDate(text, moment),
  };
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function formatDate(text: string | null | undefined, style: Intl.DateTimeFormat): string {
  const date = new Date(text ?? NaN);
  return Number.isNaN(date.getTime()) ? NOTHING : style.format(date);
}

/** The kind of a feature, from its unit or, where that says nothing, its name. */
export function kindOf(name: string, unit = ""): Kind {
  if (/money|currency|uah|₴/i.test(unit)) return "money";
  if (/share|percent|fraction/i.test(unit)) return "share";
  if (/ratio|times/i.test(unit)) return "times";
  if (/^days?$/i.test(unit)) return "days";
  if (unit !== "") return "plain";
  if (/spent|spend|amount|order_value|price/.test(name) && !name.includes("growth")) return "money";
  if (name.includes("growth")) return "times";
  return /conversion|share|_ratio$|proba/.test(name) ? "share" : "plain";
}

/** `events_last_7d` → `Events last 7 days`: for a feature the model does not describe. */
export function humanise(name: string): string {
  return capitalise(name.replaceAll("_", " ").replace(/\b1d\b/g, "1 day").replace(/(\d+)d\b/g, "$1 days").trim());
}

/** The model's own words start in lower case; a label does not. */
export function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A feature in a few words. A score or a ratio goes by its name, since its meaning says how to read the number. */
export function labelOf({ name, meaning, unit }: { name: string; meaning: string; unit: string }): string {
  return meaning === "" || isScale(unit) ? humanise(name.replace(/^micro_/, "")) : capitalise(meaning);
}

/** Whether a unit says nothing without the feature's meaning. */
export const isScale = (unit: string) => unit === "score" || unit === "ratio";

/** The first part of a long id, enough to tell rows apart; short ids stay whole. */
export function shortId(id: string): string {
  return id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}
