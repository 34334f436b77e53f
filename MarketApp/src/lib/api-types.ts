import type { paths } from "@api-schema";

// Read off the routes, not off the schemas' names: those may change without changing an answer.
type Get<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer Body } } } };
}
  ? Body
  : never;

export type Readiness = Get<"/ready">;
export type Services = Get<"/services">;
export type ServiceDetail = Services["details"][string];
export type ModelInfo = Get<"/model-info/{name}">;
export type DescribedFeature = ModelInfo["described"][number];
export type ModelHealth = Get<"/monitor">;
export type Finding = ModelHealth["findings"][number];
export type PastRun = ModelHealth["past_runs"][number];
export type UserPage = Get<"/users">;
export type User = UserPage["users"][number];
export type UserDetail = Get<"/users/{user_id}">;
export type Reason = UserDetail["reasons"][number];
export type RecentEvent = UserDetail["recent_events"][number];
export type Segments = Get<"/segments">;
export type Segment = NonNullable<User["segment"]>;
export type Value = string | number | null;
export type Features = Record<string, Value>;
export type Predictions =
  paths["/predict/{name}"]["post"]["responses"][200]["content"]["application/json"];

/** The four numbers of a forecast, by the names they have everywhere. */
export interface Forecast {
  purchase_proba: number;
  will_purchase_pred: number;
  days_to_next_pred: number;
  next_purchase_amount_pred: number;
}

/** Days of which a user's chance is known, whatever the model's horizon. */
const HORIZONS = [1, 7, 14, 30] as const;

export interface Outlook {
  /** Rising, or equal, from one horizon to the next. */
  chances: { days: number; chance: number }[];
  /** Spent within the model's horizon: by a typical user like this one, and on average; null in older forecasts. */
  spend: { median: number; mean: number } | null;
}

/** What the forecast says besides its four numbers; what an older one does not have is left out. */
export function outlookOf(features: Features): Outlook {
  const { spend_median: median, spend_mean: mean } = features;
  return {
    chances: HORIZONS.flatMap((days) => {
      const chance = features[`purchase_proba_${days}d`];
      return typeof chance === "number" ? [{ days, chance }] : [];
    }),
    spend: typeof median === "number" && typeof mean === "number" ? { median, mean } : null,
  };
}

/** The forecast inside a user's features; null in fallback mode. */
export function forecastOf(features: Features): Forecast | null {
  const { purchase_proba, will_purchase_pred, days_to_next_pred, next_purchase_amount_pred } = features;
  if (typeof purchase_proba !== "number") return null;
  return {
    purchase_proba,
    will_purchase_pred: Number(will_purchase_pred ?? 0),
    days_to_next_pred: Number(days_to_next_pred ?? NaN),
    next_purchase_amount_pred: Number(next_purchase_amount_pred ?? NaN),
  };
}
