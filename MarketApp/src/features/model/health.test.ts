import { expect, test } from "vitest";

import { concernsOf, pointsOf, summaryOf } from "@/features/model/health";
import type { Finding, PastRun } from "@/lib/api-types";

const finding = (metric: string, level: Finding["level"], advice: string | null = null): Finding => ({
  metric,
  kind: "drift",
  feature: null,
  level,
  value: 1,
  text: metric,
  limits: null,
  advice,
  snapshot_date: "2026-11-24",
});

test("what asks for the same thing stands together, where the worst of it stood", () => {
  const findings = [finding("one", "alarm", "mend"), finding("two", "alarm", "go back"), finding("three", "warn", "mend"), finding("four", "ok")];
  const found = concernsOf({ findings }).map(({ advice, findings: of }) => [advice, of.map(({ metric }) => metric)]);
  expect(found).toEqual([
    ["mend", ["one", "three"]],
    ["go back", ["two"]],
  ]);
});

test("the summary counts what is shown and what is not", () => {
  const wrong = [finding("one", "alarm"), finding("two", "ok")];
  expect(summaryOf({ level: "alarm", findings: wrong, well: 40 })).toBe("1 of 41 things measured is not as it should be.");
  expect(summaryOf({ level: "warn", findings: [...wrong, finding("three", "warn")], well: 1 })).toContain("2 of 3 things measured are not");
  expect(summaryOf({ level: "ok", findings: [], well: 212 })).toBe("All 212 things measured are as they should be.");
});

test("runs that say nothing of a measure are no points of its chart", () => {
  const run: PastRun = {
    snapshot_date: "2026-11-17",
    model_version: "3",
    level: "ok",
    users: 900,
    buyers: 12,
    roc_auc: null,
    lift_10: 3.1,
    calibration_error: 0,
    predicted_to_actual: null,
  };
  expect(pointsOf([run], "roc_auc", (day) => day)).toEqual([]);
  expect(pointsOf([run], "lift_10", (day) => day)).toEqual([{ label: "2026-11-17, version 3", value: 3.1 }]);
  expect(pointsOf([run], "calibration_error", (day) => day)).toHaveLength(1);
});
