import { expect, test } from "vitest";

import { qualityOf, verdictOf } from "@/features/model/metrics";

const METRICS = {
  notes: 0,
  test_log_loss: 0.32,
  baseline_rfm_log_loss: 0.37,
  baseline_recency_log_loss: 0.31,
  test_roc_auc: 0.8,
  test_roc_auc_low: 0.78,
  test_roc_auc_high: 0.82,
  baseline_prevalence_roc_auc: 0.5,
  test_mae_days: 1.8,
  baseline_median_mae_days: 1.9,
  test_rmse_days: 2.1,
  odd_number: 7,
};

test("one measure is one row, whoever it was measured for", () => {
  const rows = qualityOf(METRICS).rows.map(({ measure, values }) => [measure.name, values]);
  expect(rows).toEqual([
    ["roc_auc", { test: 0.8, alike: 0.5 }],
    ["log_loss", { test: 0.32, rfm: 0.37, recency: 0.31 }],
    ["mae_days", { test: 1.8, alike: 1.9 }],
  ]);
});

test("the best is of those measured on the same days, in the measure's own direction", () => {
  const best = qualityOf(METRICS).rows.map((row) => row.best);
  expect(best).toEqual(["test", "recency", "test"]);
  expect(qualityOf({ test_roc_auc: 0.9, odd: 0.8 }).rows[0]?.best).toBeUndefined();
});

test("what the table does not hold is kept by its name, but for the number of notes", () => {
  expect(qualityOf(METRICS).rest).toEqual([
    ["odd_number", 7],
    ["test_rmse_days", 2.1],
  ]);
  expect(qualityOf(METRICS).rows[0]?.interval).toEqual([0.78, 0.82]);
});

test("columns without a number are left out", () => {
  expect(qualityOf(METRICS).columns).toEqual(["test", "rfm", "recency", "alike"]);
  expect(qualityOf({ test_f1: 0.4 }).columns).toEqual(["test"]);
  expect(qualityOf({})).toEqual({ rows: [], columns: [], rest: [] });
});

test("the verdict says better only when luck is ruled out", () => {
  const verdict = (low: number, high: number) => verdictOf({ test_log_loss_saved_low: low, test_log_loss_saved_high: high });
  expect(verdict(0.001, 0.02)).toContain("are better");
  expect(verdict(-0.001, 0.02)).toContain("Too few");
  expect(verdict(-0.02, -0.001)).toContain("worse");
  expect(verdictOf({})).toBeNull();
});
