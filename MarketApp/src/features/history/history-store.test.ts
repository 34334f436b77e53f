import { expect, it } from "vitest";

import { createHistoryStore, HISTORY_LIMIT, type Entry } from "@/features/history/history-store";

/** A browser's storage in memory; with `full` it refuses to keep more. */
function memory(kept: Record<string, string> = {}, full = false): Storage {
  return {
    getItem: (key: string) => kept[key] ?? null,
    setItem: (key: string, value: string) => {
      if (full) throw new Error("quota");
      kept[key] = value;
    },
  } as unknown as Storage;
}

const answer = (days: number): Omit<Entry, "id" | "at"> => ({
  service: "context_aware",
  modelVersion: "3",
  userId: null,
  changes: [],
  purchase_proba: 0.5,
  will_purchase_pred: 1,
  days_to_next_pred: days,
  next_purchase_amount_pred: 100,
});

it("keeps the newest answers first, and no more than its limit", () => {
  const store = createHistoryStore(memory());
  for (let index = 0; index < HISTORY_LIMIT + 5; index += 1) store.add(answer(index));
  expect(store.read()).toHaveLength(HISTORY_LIMIT);
  expect(store.read()[0]?.days_to_next_pred).toBe(HISTORY_LIMIT + 4);
});

it("every entry has an id of its own, even within one millisecond and past the limit", () => {
  const store = createHistoryStore(memory(), () => new Date(0));
  for (let index = 0; index < HISTORY_LIMIT + 5; index += 1) store.add(answer(index));
  expect(new Set(store.read().map(({ id }) => id)).size).toBe(HISTORY_LIMIT);
});

it("is there again after a reload", () => {
  const storage = memory();
  createHistoryStore(storage).add(answer(3));
  expect(createHistoryStore(storage).read()[0]?.days_to_next_pred).toBe(3);
});

it("drops what is no entry", () => {
  expect(createHistoryStore(memory({ "anmodel.history": '[{"id": 1}, null]' })).read()).toEqual([]);
  expect(createHistoryStore(memory({ "anmodel.history": "{spoilt" })).read()).toEqual([]);
});

it("goes on in memory when the storage is full", () => {
  const store = createHistoryStore(memory({}, true));
  store.add(answer(3));
  expect(store.read()).toHaveLength(1);
});
