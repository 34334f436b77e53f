import type { DescribedFeature, Features, ModelInfo, Value } from "@/lib/api-types";

/** What the fields hold: text as typed, by feature. */
export type Draft = Record<string, string>;

export interface Block {
  name: string;
  features: DescribedFeature[];
}

const MAIN_COUNT = 8;

/** The features a person would turn first: the most important ones that have a plain meaning. */
export function mainFeatures(model: ModelInfo): DescribedFeature[] {
  const byName = new Map(model.described.map((feature) => [feature.name, feature]));
  const ranked = model.feature_importance_top10.map(({ feature }) => byName.get(feature)).filter((feature) => feature !== undefined);
  const plain = ranked.filter(({ name }) => !name.startsWith("seq_"));
  return (plain.length > 0 ? plain : model.described).slice(0, MAIN_COUNT);
}

/** The rest, by block in the model's order. */
export function foldedBlocks(model: ModelInfo): Block[] {
  const main = new Set(mainFeatures(model).map(({ name }) => name));
  const blocks = new Map<string, DescribedFeature[]>();
  for (const feature of model.described) {
    if (main.has(feature.name)) continue;
    blocks.set(feature.block, [...(blocks.get(feature.block) ?? []), feature]);
  }
  return [...blocks].map(([name, features]) => ({ name, features }));
}

/** Where the form starts: the user's own values, and the median for what the user lacks. */
export function baseline(model: ModelInfo, features: Features | undefined): Features {
  return Object.fromEntries(
    model.features.map((name): [string, Value] => [name, features?.[name] ?? model.feature_medians[name] ?? null]),
  );
}

export function toDraft(values: Features): Draft {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toText(value)]));
}

/** Short enough to read and to type over: `3.2839481` is shown as `3.284`. */
function toText(value: Value): string {
  if (value === null) return "";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
}

/**
 * Reads the fields; `wrong` tells by feature what is not understood. An empty field is "unknown" to the model, and one
 * that was not touched keeps its exact value of `start`, not the rounded one on screen.
 */
export function readDraft(model: ModelInfo, draft: Draft, start: Features): { record: Features; wrong: Record<string, string> } {
  const kinds = new Map(model.described.map(({ name, type }) => [name, type]));
  const record: Features = {};
  const wrong: Record<string, string> = {};
  for (const name of model.features) {
    const text = (draft[name] ?? "").trim();
    const before = start[name] ?? null;
    if (text === toText(before)) record[name] = before;
    else if (text === "") record[name] = null;
    else if (kinds.get(name) === "category") record[name] = text;
    else if (Number.isFinite(Number(text))) record[name] = Number(text);
    else wrong[name] = "Write a number";
  }
  return { record, wrong };
}

export interface Change {
  feature: string;
  from: Value;
  to: Value;
}

export function changesOf(before: Features, after: Features): Change[] {
  return Object.keys(after)
    .filter((feature) => after[feature] !== before[feature])
    .map((feature) => ({ feature, from: before[feature] ?? null, to: after[feature] ?? null }));
}
