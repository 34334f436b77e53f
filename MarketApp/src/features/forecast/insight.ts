import type { Features, Forecast } from "@/lib/api-types";
import type { Format } from "@/lib/format";

/** The forecast in one or two sentences, for someone who reads nothing else. */
export function insight(forecast: Forecast, horizon: number, format: Format): string {
  const p = forecast.purchase_proba;
  const chance = format.chance(p);
  const amount = format.money(forecast.next_purchase_amount_pred);
  const when = format.when(forecast.days_to_next_pred);
  if (forecast.will_purchase_pred) {
    return `Expected to buy within ${horizon} days (${chance}): ${when}, for about ${amount}.`;
  }
  if (p >= 0.1) {
    return `May buy within ${horizon} days (${chance}), but probably later. When they do, expect about ${amount}.`;
  }
  return `No purchase expected within ${horizon} days (${chance}).`;
}

/** Growth against its own longer window: 1 is steady. */
export type Direction = "rising" | "steady" | "falling";

export function directionOf(growth: number): Direction {
  if (growth > 1.1) return "rising";
  return growth < 0.9 ? "falling" : "steady";
}

/** This week beside an average week of the last 30 days; null where the features are not there. */
export function weekAgainstMonth(features: Features): { week: number; usual: number } | null {
  const { events_last_7d: week, events_last_30d: month } = features;
  if (typeof week !== "number" || typeof month !== "number") return null;
  return { week, usual: (month * 7) / 30 };
}

/** "Top 3%": the percentile is the share of users whose chance is not higher, 0 to 100. Nobody is in the top 0%. */
export function rank(percentile: number): string {
  const share = (part: number) => `${Math.max(1, Math.ceil(part))}% of all users`;
  return percentile >= 50 ? `Top ${share(100 - percentile)}` : `Bottom ${share(percentile)}`;
}
