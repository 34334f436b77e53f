import type { Segment } from "@/lib/api-types";
import { isSegment } from "@/lib/segments";

export const SORTS = [
  { value: "purchase_proba", label: "By chance" },
  { value: "spend_mean", label: "By expected spend" },
  { value: "next_purchase_amount_pred", label: "By next amount" },
  { value: "days_to_next_pred", label: "By days to next" },
  { value: "total_spent", label: "By total spent" },
  { value: "events_last_7d", label: "By events, 7 days" },
  { value: "days_since_last", label: "By last visit" },
  { value: "user_id", label: "By user id" },
] as const;

export type Sort = (typeof SORTS)[number]["value"];

/** What the address says about the list of users; what is absent is at its default. */
export interface UsersSearch {
  q?: string;
  segment?: Segment;
  region?: string;
  sort?: Sort;
  order?: "asc" | "desc";
  min?: number;
  max?: number;
}

/** Reads an address that anyone may have typed: what is no filter is dropped. */
export function parseUsersSearch(given: Record<string, unknown>): UsersSearch {
  const search: UsersSearch = {};
  const q = text(given.q);
  const region = text(given.region);
  const min = share(given.min);
  const max = share(given.max);
  if (q) search.q = q;
  if (region) search.region = region;
  if (isSegment(given.segment)) search.segment = given.segment;
  if (isSort(given.sort)) search.sort = given.sort;
  if (given.order === "asc" || given.order === "desc") search.order = given.order;
  if (min) search.min = min;
  if (max !== undefined && max < 1) search.max = max;
  return search;
}

/** Low ids and few days first; much money, many events and a high chance first. */
export function defaultOrder(sort: Sort): "asc" | "desc" {
  return sort === "user_id" || sort === "days_to_next_pred" || sort === "days_since_last" ? "asc" : "desc";
}

export function hasFilter(search: UsersSearch): boolean {
  return Boolean(search.q ?? search.segment ?? search.region ?? search.min ?? search.max);
}

/** The router reads `?q=12` as a number. */
function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
}

function share(value: unknown): number | undefined {
  const number = Number(value);
  return value !== undefined && number >= 0 && number <= 1 ? number : undefined;
}

function isSort(value: unknown): value is Sort {
  return SORTS.some((sort) => sort.value === value);
}
