import type { Forecast, Value } from "@/lib/api-types";

/** One question to the model and its answer. */
export interface Entry extends Forecast {
  id: string;
  /** ISO instant. */
  at: string;
  service: string;
  modelVersion: string | null;
  /** Null when the form started from the medians. */
  userId: string | null;
  changes: { feature: string; from: Value; to: Value }[];
}

export const HISTORY_LIMIT = 20;

const KEY = "anmodel.history";

export interface HistoryStore {
  /** Newest first; the same array until something changes. */
  read: () => readonly Entry[];
  add: (entry: Omit<Entry, "id" | "at">) => void;
  replace: (entries: readonly Entry[]) => void;
  subscribe: (listener: () => void) => () => void;
}

/** The last answers, kept in `storage`. A storage that is full or forbidden costs the memory across visits, no more. */
export function createHistoryStore(storage: Storage, now: () => Date = () => new Date()): HistoryStore {
  const listeners = new Set<() => void>();
  let entries: readonly Entry[] = load(storage);
  let made = 0;
  const replace = (next: readonly Entry[]) => {
    entries = next.slice(0, HISTORY_LIMIT);
    try {
      storage.setItem(KEY, JSON.stringify(entries));
    } catch {
      // Kept in memory then.
    }
    listeners.forEach((listener) => listener());
  };
  return {
    read: () => entries,
    replace,
    add: (entry) => {
      const at = now().toISOString();
      replace([{ ...entry, at, id: `${at}-${(made += 1)}` }, ...entries]);
    },
    subscribe: (listener) => {
      const follow = (event: StorageEvent) => {
        if (event.key !== KEY) return;
        entries = load(storage);
        listener();
      };
      listeners.add(listener);
      globalThis.addEventListener("storage", follow);
      return () => {
        listeners.delete(listener);
        globalThis.removeEventListener("storage", follow);
      };
    },
  };
}

/** What is kept may be of an older version or spoilt: what is no entry is dropped. */
function load(storage: Storage): readonly Entry[] {
  try {
    const kept: unknown = JSON.parse(storage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isEntry).slice(0, HISTORY_LIMIT) : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Partial<Record<keyof Entry, unknown>>;
  return (
    typeof entry.id === "string" &&
    typeof entry.at === "string" &&
    typeof entry.service === "string" &&
    typeof entry.purchase_proba === "number" &&
    typeof entry.days_to_next_pred === "number" &&
    typeof entry.next_purchase_amount_pred === "number" &&
    Array.isArray(entry.changes)
  );
}
