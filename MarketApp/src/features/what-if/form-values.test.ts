import { expect, it } from "vitest";

import { baseline, changesOf, foldedBlocks, mainFeatures, readDraft, toDraft } from "@/features/what-if/form-values";
import type { ModelInfo } from "@/lib/api-types";

const number = (name: string, block: string) => ({ name, type: "number" as const, unit: "", meaning: name, block, categories: null });

const model: ModelInfo = {
  service: "context_aware",
  version: "3",
  snapshot_version: "ab12",
  horizon_days: 7,
  features: ["events", "spent", "seq_click", "region"],
  optimal_threshold: 0.4,
  feature_importance_top10: [
    { feature: "seq_click", importance: 0.5 },
    { feature: "spent", importance: 0.3 },
    { feature: "gone", importance: 0.2 },
  ],
  feature_medians: { events: 4, spent: 100, seq_click: 0.2, region: "UA-30" },
  metrics: {},
  notes: [],
  described: [
    number("events", "volume"),
    number("spent", "spend"),
    number("seq_click", "sequence"),
    { name: "region", type: "category", unit: "", meaning: "region", block: "place", categories: ["UA-30", "UA-46"] },
  ],
};

it("the form starts with the user's values, and with medians for the rest", () => {
  expect(baseline(model, { events: 9, purchase_proba: 0.5 })).toEqual({ events: 9, spent: 100, seq_click: 0.2, region: "UA-30" });
});

it("important features with a plain meaning come first, the rest is folded by block", () => {
  expect(mainFeatures(model).map(({ name }) => name)).toEqual(["spent"]);
  expect(foldedBlocks(model).map(({ name }) => name)).toEqual(["volume", "sequence", "place"]);
});

it("an untouched field keeps its exact value, not the rounded text", () => {
  const start = baseline(model, { events: 3.2839481 });
  const draft = toDraft(start);
  expect(draft.events).toBe("3.284");
  expect(readDraft(model, draft, start).record.events).toBe(3.2839481);
});

it("an emptied field is unknown, a text in a number's place is a fault that names the field", () => {
  const start = baseline(model, undefined);
  const { record, wrong } = readDraft(model, { ...toDraft(start), events: " ", spent: "a lot" }, start);
  expect(record.events).toBeNull();
  expect(wrong).toEqual({ spent: "Write a number" });
});

it("every feature of the model is sent, and what changed is known", () => {
  const start = baseline(model, undefined);
  const { record } = readDraft(model, { ...toDraft(start), region: "UA-46" }, start);
  expect(Object.keys(record)).toEqual(model.features);
  expect(changesOf(start, record)).toEqual([{ feature: "region", from: "UA-30", to: "UA-46" }]);
});
