import { humanise, type Kind } from "@/lib/format";

interface Metric {
  label: string;
  meaning: string;
  kind: Kind;
}

const KNOWN: [RegExp, Metric][] = [
  [/roc_auc/, { label: "ROC AUC", meaning: "How often a buyer ranks above a non-buyer; 0.5 is chance", kind: "plain" }],
  [/pr_auc|average_precision/, { label: "PR AUC", meaning: "How clean the top of the ranking is", kind: "plain" }],
  [/brier/, { label: "Brier score", meaning: "Error of the chance; lower is better", kind: "plain" }],
  [/log_?loss/, { label: "Log loss", meaning: "Error of the chance; lower is better", kind: "plain" }],
  [/ece|calibration/, { label: "Calibration error", meaning: "How far a said chance is from what happened", kind: "plain" }],
  [/(^|_)f1/, { label: "F1", meaning: "Balance of found buyers and false alarms", kind: "plain" }],
  [/mae_days/, { label: "Error in days", meaning: "Mean distance from the real day", kind: "days" }],
  [/mae_amount/, { label: "Error in amount", meaning: "Mean distance from the real amount", kind: "money" }],
];

/** A metric's name for a reader; one not met yet is shown by its own name. */
export function describeMetric(name: string): Metric {
  const found = KNOWN.find(([pattern]) => pattern.test(name))?.[1];
  if (!found) return { label: humanise(name), meaning: "", kind: "plain" };
  const part = /(^|_)(train|val|validation|test|baseline)(_|$)/.exec(name)?.[2];
  return part ? { ...found, label: `${found.label}, ${part}` } : found;
}
