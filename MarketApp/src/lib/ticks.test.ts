import { expect, it } from "vitest";

import { ticks } from "@/lib/ticks";

it("are round and cover the span", () => expect(ticks(0, 0.93)).toEqual([0, 0.5, 1]));
it("follow the size of the numbers", () => expect(ticks(0, 1240)).toEqual([0, 500, 1000, 1500]));
it("are at least two when all points are equal", () => expect(ticks(5, 5).length).toBeGreaterThan(1));
it("of nothing but zeros do not divide by zero", () => expect(ticks(0, 0).every(Number.isFinite)).toBe(true));
