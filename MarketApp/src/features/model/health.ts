import { unwrap, type Api } from "@/lib/api";
import type { Finding, ModelHealth, PastRun } from "@/lib/api-types";

export const healthQuery = (api: Api) => ({
  queryKey: ["monitor"],
  queryFn: ({ signal }: { signal: AbortSignal }) => unwrap(api.GET("/monitor", { signal })),
  staleTime: 60_000,
});

export const LEVELS = {
  ok: { label: "Well", tone: "up" },
  warn: { label: "Watch", tone: "warm" },
  alarm: { label: "Alarm", tone: "down" },
} as const;

/** Findings that ask for the same thing to be done. */
export interface Concern {
  advice: string;
  findings: Finding[];
}

/** What is not well, in the gateway's order of the worst first; findings of one advice stand together. */
export function concernsOf({ findings }: Pick<ModelHealth, "findings">): Concern[] {
  const concerns = new Map<string, Finding[]>();
  for (const finding of findings) {
    if (finding.level === "ok") continue;
    const advice = finding.advice ?? "";
    concerns.set(advice, [...(concerns.get(advice) ?? []), finding]);
  }
  return [...concerns].map(([advice, found]) => ({ advice, findings: found }));
}

/** How it all is, in a sentence. */
export function summaryOf({ level, findings, well }: Pick<ModelHealth, "level" | "findings" | "well">): string {
  const wrong = findings.filter((finding) => finding.level !== "ok").length;
  const all = well + wrong;
  if (level === "ok") return all === 1 ? "The one thing measured is as it should be." : `All ${all} things measured are as they should be.`;
  return `${wrong} of ${all} things measured ${wrong === 1 ? "is" : "are"} not as ${wrong === 1 ? "it" : "they"} should be.`;
}

/** The runs where a measure is known, as points of a chart. */
export function pointsOf(runs: readonly PastRun[], measure: "roc_auc" | "lift_10" | "calibration_error", sayDay: (day: string) => string) {
  return runs.flatMap((run) => {
    const value = run[measure];
    return value === null ? [] : [{ label: `${sayDay(run.snapshot_date)}, version ${run.model_version}`, value }];
  });
}
