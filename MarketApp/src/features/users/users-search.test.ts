import { expect, it } from "vitest";

import { hasFilter, parseUsersSearch } from "@/features/users/users-search";

it("an address that names filters is read", () => {
  expect(parseUsersSearch({ q: "082c", segment: "hot", sort: "total_spent", order: "asc", min: 0.5 })).toEqual({
    q: "082c",
    segment: "hot",
    sort: "total_spent",
    order: "asc",
    min: 0.5,
  });
});

it("an id of digits stays a text, whatever the router made of it", () => expect(parseUsersSearch({ q: 12 })).toEqual({ q: "12" }));

it("what is no filter is dropped", () => {
  expect(parseUsersSearch({ segment: "boiling", sort: "password", min: 7, max: "x", order: 1, q: {} })).toEqual({});
});

it("sorting is no filter", () => {
  expect(hasFilter({ sort: "user_id" })).toBe(false);
  expect(hasFilter({ region: "UA-30" })).toBe(true);
});
