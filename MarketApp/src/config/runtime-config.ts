/** What the server that hands out the console says about its surroundings (`/config.json`). */
export interface RuntimeConfig {
  /** Address of the gateway, without a slash at its end. */
  apiBase: string;
  /** ISO 4217 code of the shop's currency. */
  currency: string;
  /** BCP 47 tag for numbers and dates. */
  locale: string;
}

const DEFAULTS: RuntimeConfig = { apiBase: "http://127.0.0.1:8000", currency: "UAH", locale: "en-GB" };

/** Reads a parsed `config.json`; unknown keys are ignored, a wrong one is named in the error. */
export function parseConfig(given: unknown, defaults: RuntimeConfig = DEFAULTS): RuntimeConfig {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Error("config.json: expected an object such as {\"apiBase\": \"http://127.0.0.1:8000\"}");
  }
  const read = (key: keyof RuntimeConfig, check: (text: string) => boolean, allowed: string) => {
    const value: unknown = (given as Record<string, unknown>)[key] ?? defaults[key];
    if (typeof value === "string" && check(value)) return value;
    throw new Error(`config.json: ${key} is ${JSON.stringify(value)}; expected ${allowed}`);
  };
  return {
    apiBase: read("apiBase", (text) => /^https?:\/\/|^$|^\//.test(text), "an http(s) address").replace(/\/+$/, ""),
    currency: read("currency", (text) => /^[A-Z]{3}$/.test(text), "an ISO 4217 code such as UAH"),
    locale: read("locale", isLocale, "a language tag such as en-GB"),
  };
}

/** Asks the console's own server; `npm run dev` has none and takes VITE_API_BASE. */
export async function loadConfig(): Promise<RuntimeConfig> {
  if (import.meta.env.DEV) {
    return parseConfig({ apiBase: import.meta.env.VITE_API_BASE as unknown });
  }
  const answer = await fetch("/config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`config.json: the console's server answered ${answer.status}`);
  const given: unknown = await answer.json().catch(() => {
    throw new Error("config.json: the console's server answered something else than JSON");
  });
  return parseConfig(given);
}

function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}
