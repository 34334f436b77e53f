import { describe, expect, it } from "vitest";

import { createFormat, humanise, kindOf, labelOf, shortId } from "@/lib/format";

const format = createFormat("en-GB", "UAH");

describe("a chance", () => {
  it.each([
    [0.7234, "72%"],
    [0.0523, "5.2%"],
    [0.9999, ">99.9%"],
    [0.995, "99.5%"],
    [0.0004, "<0.1%"],
    [0, "0%"],
  ])("%f reads as %s", (p, text) => expect(format.chance(p)).toBe(text));

  it("that is not known is a dash", () => {
    expect(format.chance(NaN)).toBe("–");
    expect(format.chance(null)).toBe("–");
  });
});

describe("money", () => {
  it("has the currency's sign and no small change", () => expect(format.money(1234.56)).toBe("₴1,235"));
  it("keeps small change where it matters", () => expect(format.money(3.5)).toBe("₴3.50"));
  it("follows the configured currency", () => expect(createFormat("en-GB", "EUR").money(20)).toBe("€20"));
});

describe("time", () => {
  it("of less than a day is not zero days", () => expect(format.when(0.4)).toBe("within a day"));
  it("has its singular", () => expect(format.when(1.1)).toBe("in about 1 day"));
  it("is rounded to half days when near", () => expect(format.days(2.6)).toBe("2.5 days"));
  it("of a range with equal ends is said once", () => expect(format.range(3.01, 3.02, format.tenths)).toBe("3"));
  it("of a calendar day does not move with the reader's zone", () => expect(format.day("2026-11-24")).toBe("24 Nov 2026"));
  it("that cannot be read is a dash", () => expect(format.moment("yesterday")).toBe("–"));
});

it("in days is not told to the minute", () => {
  expect([0.4213, 1.3654, 269.88].map((days) => format.value(days, "days"))).toEqual(["0.4", "1.4", "270"]);
});

describe("a feature's label", () => {
  it("is what it means", () => {
    expect(labelOf({ name: "events_last_7d", meaning: "events in the last 7 days", unit: "events" })).toBe("Events in the last 7 days");
  });
  it("is its name where the meaning only says how to read the number", () => {
    expect(labelOf({ name: "recency_score", meaning: "1 just now, falling to 0 with time", unit: "score" })).toBe("Recency score");
    expect(labelOf({ name: "total_events", meaning: "", unit: "events" })).toBe("Total events");
  });
});

describe("a feature's kind", () => {
  it("comes from its unit first", () => expect(kindOf("total_spent", "events")).toBe("plain"));
  it.each([
    ["total_spent", "money"],
    ["micro_spent_growth", "times"],
    ["conversion_rate_30d", "share"],
    ["total_events", "plain"],
  ])("of %s is guessed as %s without one", (name, kind) => expect(kindOf(name)).toBe(kind));
});

it("a feature without a description gets a readable name", () => expect(humanise("events_last_7d")).toBe("Events last 7 days"));

it("only long ids are shortened", () => {
  expect(shortId("household-1")).toBe("household-1");
  expect(shortId("082c3451-505b-498c-98e3-6adb82eb220a")).toBe("082c3451…220a");
});
