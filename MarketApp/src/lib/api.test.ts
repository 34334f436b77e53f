import { expect, it } from "vitest";

import { toApiError } from "@/lib/api";

it("an error says what the gateway said, and which features it means", () => {
  const error = toApiError({ detail: "unknown features: foo", unknown: ["foo"], missing: [] }, 422);
  expect(error.message).toBe("unknown features: foo");
  expect(error.unknown).toEqual(["foo"]);
  expect(error.passing).toBe(false);
});

it("a list of faults is told field by field", () => {
  expect(toApiError({ detail: [{ loc: ["query", "limit"], msg: "too large" }] }, 422).message).toBe("limit: too large");
});

it("an answer without words still has its status, and may pass when it is a 503", () => {
  const error = toApiError("<html>", 503);
  expect(error.message).toContain("503");
  expect(error.passing).toBe(true);
});

it("too many requests is told in the gateway's words, and may pass", () => {
  const error = toApiError({ detail: "too many requests: more than 1000/minute from one address; wait 12 s" }, 429);
  expect(error.message).toContain("wait 12 s");
  expect(error.passing).toBe(true);
});
