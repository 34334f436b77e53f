import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Panel } from "@/components/panel";
import { directionOf, type Direction } from "@/features/forecast/insight";
import { useFormat } from "@/lib/app-context";
import type { DescribedFeature, Features } from "@/lib/api-types";
import { capitalise, humanise, kindOf } from "@/lib/format";

const TONES: Record<Direction, "up" | "ignore" | "down"> = { rising: "up", steady: "ignore", falling: "down" };

interface MicroTrendsProps {
  features: Features;
  described: ReadonlyMap<string, DescribedFeature>;
}

/** How the last few days compare with the user's own longer pace. */
export function MicroTrends({ features, described }: MicroTrendsProps) {
  const isTrend = (name: string) => name.startsWith("micro_") || described.get(name)?.block === "micro-trends";
  const trends = Object.entries(features).filter(
    (entry): entry is [string, number] => isTrend(entry[0]) && typeof entry[1] === "number",
  );
  if (trends.length === 0) return null;
  return (
    <Panel title="Micro-trends" note="The last days against the user's own longer pace: 1× is steady, above it grows, below it fades">
      <Box component="ul" sx={{ m: 0, p: 0, listStyle: "none", display: "grid", gap: 1, gridTemplateColumns: "repeat(auto-fit, minmax(220px, 1fr))" }}>
        {trends.map(([name, value]) => (
          <Trend key={name} name={name} value={value} described={described.get(name)} />
        ))}
      </Box>
    </Panel>
  );
}

function Trend({ name, value, described }: { name: string; value: number; described: DescribedFeature | undefined }) {
  const format = useFormat();
  const growth = name.endsWith("_growth");
  const kind = growth ? "times" : kindOf(name, described?.unit);
  const direction = directionOf(value);
  return (
    <Box component="li" sx={{ p: 1.5, borderRadius: 0.8, bgcolor: "background.default" }}>
      <Box sx={{ display: "flex", justifyContent: "space-between", alignItems: "baseline", gap: 1 }}>
        <Box sx={{ fontWeight: 600 }}>{humanise(name.replace(/^micro_/, ""))}</Box>
        <Box sx={{ fontWeight: 650, whiteSpace: "nowrap" }}>{format.value(value, kind)}</Box>
      </Box>
      {growth && <Box sx={{ color: `tone.${TONES[direction]}.fg`, fontSize: "0.75rem", fontWeight: 600 }}>{direction}</Box>}
      {described && (
        <Typography variant="caption" color="textSecondary" component="div">
          {capitalise(described.meaning)}
        </Typography>
      )}
    </Box>
  );
}
