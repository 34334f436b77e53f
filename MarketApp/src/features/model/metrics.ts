/** What is known of the model's numbers: which stand in one row of the table, what they mean, and which way is better. */

export interface Measure {
  /** The metric's name without its part: `roc_auc` of `test_roc_auc`. */
  name: string;
  label: string;
  meaning: string;
  better: "higher" | "lower" | "aim" | "none";
  kind: "plain" | "share" | "days" | "money";
}

const MEASURES: readonly Measure[] = [
  {
    name: "roc_auc",
    label: "Ranking (ROC AUC)",
    meaning: "How often a buyer ranks above a non-buyer; 0.5 is a coin toss",
    better: "higher",
    kind: "plain",
  },
  {
    name: "pr_auc",
    label: "Top of the list (PR AUC)",
    meaning: "How many of those ranked high do buy; a blind list reaches the share of buyers",
    better: "higher",
    kind: "plain",
  },
  {
    name: "log_loss",
    label: "Log loss",
    meaning: "How wrong the chances were; being sure and wrong costs most",
    better: "lower",
    kind: "plain",
  },
  { name: "brier", label: "Brier score", meaning: "Mean squared distance between chance and outcome", better: "lower", kind: "plain" },
  {
    name: "ece",
    label: "Calibration error",
    meaning: "How far a said chance is from the share who then bought",
    better: "lower",
    kind: "share",
  },
  { name: "f1", label: "F1", meaning: "Balance of buyers found and false alarms", better: "higher", kind: "plain" },
  {
    name: "mae_days",
    label: "Error in days",
    meaning: "Mean distance from the day a buyer bought",
    better: "lower",
    kind: "days",
  },
  {
    name: "mae_amount",
    label: "Error in amount",
    meaning: "Mean distance from what a buyer paid",
    better: "lower",
    kind: "money",
  },
  {
    name: "coverage_days",
    label: "Days inside the 80% range",
    meaning: "Share of buyers whose day fell into the range",
    better: "aim",
    kind: "share",
  },
  {
    name: "coverage_amount",
    label: "Amounts inside the 80% range",
    meaning: "Share of buyers whose amount fell into the range",
    better: "aim",
    kind: "share",
  },
  {
    name: "positive_rate",
    label: "Share of buyers",
    meaning: "How many bought in the days ahead; it says how hard the task was",
    better: "none",
    kind: "share",
  },
];

export const DIRECTIONS = {
  higher: "higher is better",
  lower: "lower is better",
  aim: "nearest to 80% is best",
  none: "",
} as const;

export const COLUMNS = ["test", "rfm", "recency", "alike"] as const;
export type Column = (typeof COLUMNS)[number];

/** Where each column's numbers stand. All are of the test days. */
const PREFIXES: Record<Column, readonly string[]> = {
  test: ["test_"],
  rfm: ["baseline_rfm_"],
  recency: ["baseline_recency_"],
  alike: ["baseline_prevalence_", "baseline_median_"],
};

export interface QualityRow {
  measure: Measure;
  values: Partial<Record<Column, number>>;
  /** 95% interval of the model's value on the test days. */
  interval?: [number, number];
  /** The best of the columns measured on the test days; none without a rival or a better direction. */
  best?: Column;
}

export interface Quality {
  rows: QualityRow[];
  columns: Column[];
  /** What the table does not hold, by name. */
  rest: [string, number][];
}

/** The table of a model's metrics. Rows and columns without any number are left out; nothing is dropped: see `rest`. */
export function qualityOf(metrics: Readonly<Record<string, number>>): Quality {
  const used = new Set(["notes"]);
  const take = (name: string) => {
    if (name in metrics) used.add(name);
    return metrics[name];
  };
  const rows = MEASURES.map((measure): QualityRow => {
    const values: QualityRow["values"] = {};
    for (const column of COLUMNS) {
      const value = PREFIXES[column].map((prefix) => take(prefix + measure.name)).find((given) => given !== undefined);
      if (value !== undefined) values[column] = value;
    }
    const low = take(`test_${measure.name}_low`);
    const high = take(`test_${measure.name}_high`);
    const interval = low !== undefined && high !== undefined ? { interval: [low, high] as [number, number] } : {};
    return { measure, values, ...interval, ...bestOf(measure, values) };
  }).filter(({ values }) => Object.keys(values).length > 0);
  return {
    rows,
    columns: COLUMNS.filter((column) => rows.some(({ values }) => values[column] !== undefined)),
    rest: Object.entries(metrics)
      .filter(([name]) => !used.has(name))
      .sort(([one], [other]) => one.localeCompare(other)),
  };
}

function bestOf({ better }: Measure, values: QualityRow["values"]): { best?: Column } {
  const rivals = COLUMNS.flatMap((column) => {
    const value = values[column];
    return value === undefined ? [] : [{ column, value }];
  });
  if (rivals.length < 2 || (better !== "higher" && better !== "lower")) return {};
  const sign = better === "higher" ? 1 : -1;
  const [first] = rivals.sort((one, other) => sign * (other.value - one.value));
  return first ? { best: first.column } : {};
}

/** Whether the model beats the best simple forecast on the same users, in a sentence; null where it was not measured. */
export function verdictOf(metrics: Readonly<Record<string, number>>): string | null {
  const { test_log_loss_saved_low: low, test_log_loss_saved_high: high } = metrics;
  if (low === undefined || high === undefined) return null;
  if (low > 0) return "Its chances are better than those of the best simple forecast, and not by luck (95% sure).";
  if (high < 0) return "Its chances are worse than those of the best simple forecast (95% sure).";
  return "Too few test days to tell whether its chances are better than those of the best simple forecast.";
}
