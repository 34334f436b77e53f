import { expect, it } from "vitest";

import { directionOf, insight, rank, weekAgainstMonth } from "@/features/forecast/insight";
import { createFormat } from "@/lib/format";

const format = createFormat("en-GB", "UAH");
const forecast = { purchase_proba: 0.72, will_purchase_pred: 1, days_to_next_pred: 3.1, next_purchase_amount_pred: 830.4 };

it("a likely buyer is told with when and how much", () => {
  expect(insight(forecast, 7, format)).toBe("Expected to buy within 7 days (72%): in about 3 days, for about ₴830.");
});

it("an unlikely buyer is not promised a purchase", () => {
  const unlikely = { ...forecast, purchase_proba: 0.02, will_purchase_pred: 0 };
  expect(insight(unlikely, 7, format)).toBe("No purchase expected within 7 days (2%).");
});

it("growth is measured against 1, not against a share of the week", () => {
  expect([1.5, 1.05, 0.5].map(directionOf)).toEqual(["rising", "steady", "falling"]);
});

it("a week is compared with an average week, and only where both are known", () => {
  expect(weekAgainstMonth({ events_last_7d: 12, events_last_30d: 30 })).toEqual({ week: 12, usual: 7 });
  expect(weekAgainstMonth({ events_last_7d: null, events_last_30d: 30 })).toBeNull();
});

it("a rank is told from the nearer end, and is never 0%", () => {
  expect(rank(100)).toBe("Top 1% of all users");
  expect(rank(87.5)).toBe("Top 13% of all users");
  expect(rank(0.04)).toBe("Bottom 1% of all users");
});
