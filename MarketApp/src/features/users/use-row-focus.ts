import { useEffect, useRef, type KeyboardEvent, type RefObject } from "react";

const STEPS: Record<string, (index: number, total: number) => number> = {
  ArrowDown: (index) => index + 1,
  ArrowUp: (index) => index - 1,
  Home: () => 0,
  End: (_, total) => total - 1,
};

/**
 * Moves the focus between rows (`[data-row]`) that may not exist yet: the row is scrolled to, and gets the focus once
 * it is there. A row that still loads holds the focus until its link replaces it.
 */
export function useRowFocus(list: RefObject<HTMLElement | null>, total: number, scrollTo: (index: number) => void) {
  const wanted = useRef<number | null>(null);
  const settle = () => {
    if (wanted.current === null) return;
    const row = list.current?.querySelector<HTMLElement>(`[data-row="${wanted.current}"]`);
    row?.focus({ preventScroll: true });
    if (row instanceof HTMLAnchorElement) wanted.current = null;
  };
  useEffect(settle);
  return {
    onKeyDown: (event: KeyboardEvent) => {
      const step = STEPS[event.key];
      const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
      if (!step || !row) return;
      event.preventDefault();
      wanted.current = Math.min(total - 1, Math.max(0, step(Number(row.dataset.row), total)));
      scrollTo(wanted.current);
      settle();
    },
    // Whoever reaches for the mouse or tabs on wants the focus elsewhere.
    onPointerDown: () => {
      wanted.current = null;
    },
  };
}
