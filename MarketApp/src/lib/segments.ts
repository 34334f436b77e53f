import type { Segment } from "@/lib/api-types";

export const SEGMENT_ORDER = ["hot", "warm", "cold", "ignore"] as const satisfies readonly Segment[];

export const SEGMENTS: Record<Segment, { label: string; meaning: string }> = {
  hot: { label: "Hot", meaning: "Very likely to buy and lately active" },
  warm: { label: "Warm", meaning: "Promising: a fair chance and recent activity" },
  cold: { label: "Cold", meaning: "Weak interest" },
  ignore: { label: "Ignore", meaning: "No sign of a purchase soon" },
};

export function isSegment(value: unknown): value is Segment {
  return SEGMENT_ORDER.includes(value as Segment);
}
