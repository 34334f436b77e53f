import { usersQuery } from "@/features/users/get-users";
import type { UsersSearch } from "@/features/users/users-search";
import type { Api } from "@/lib/api";
import { forecastOf, type User } from "@/lib/api-types";
import { toCsv } from "@/lib/csv";
import type { QueryClient } from "@tanstack/react-query";

const PAGE = 1000;

/** A file stays small enough for a spreadsheet; the button says so when it is reached. */
export const EXPORT_LIMIT = 10_000;

const AHEAD = ["purchase_proba_1d", "purchase_proba_7d", "purchase_proba_14d", "purchase_proba_30d", "spend_median", "spend_mean"] as const;

const HEADER = [
  "user_id",
  "region",
  "segment",
  "percentile",
  "purchase_proba",
  "will_purchase_pred",
  "days_to_next_pred",
  "next_purchase_amount_pred",
  ...AHEAD,
  "snapshot_date",
] as const;

/** All users that fit `search`, up to EXPORT_LIMIT, as CSV; `onProgress` hears how many are here. */
export async function exportUsers(
  client: QueryClient,
  api: Api,
  search: UsersSearch,
  onProgress: (users: number) => void,
): Promise<string> {
  const users: User[] = [];
  for (let page = 0; users.length < EXPORT_LIMIT; page += 1) {
    const answer = await client.query(usersQuery(api, search, page, PAGE));
    users.push(...answer.users);
    onProgress(users.length);
    if (answer.users.length < PAGE) break;
  }
  return toCsv(HEADER, users.map(toRow));
}

function toRow({ user_id, region, segment, percentile, features }: User) {
  const forecast = forecastOf(features);
  return [
    user_id,
    region,
    segment,
    percentile,
    forecast?.purchase_proba,
    forecast?.will_purchase_pred,
    forecast?.days_to_next_pred,
    forecast?.next_purchase_amount_pred,
    ...AHEAD.map((name) => features[name]),
    features.snapshot_date,
  ];
}
