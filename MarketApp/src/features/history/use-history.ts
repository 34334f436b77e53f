import { createContext, useContext, useSyncExternalStore } from "react";

import type { HistoryStore } from "@/features/history/history-store";

export const HistoryContext = createContext<HistoryStore | null>(null);

export function useHistoryStore(): HistoryStore {
  const store = useContext(HistoryContext);
  if (!store) throw new Error("rendered outside of HistoryContext");
  return store;
}

export function useEntries() {
  const store = useHistoryStore();
  return useSyncExternalStore(store.subscribe, store.read);
}
