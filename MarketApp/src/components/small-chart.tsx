import Box from "@mui/material/Box";
import { useId } from "react";

import { ticks } from "@/lib/ticks";

interface Point {
  label: string;
  value: number;
}

interface SmallChartProps {
  title: string;
  /** In the order of time. */
  points: readonly Point[];
  /** Ends of the axis; null lets the points decide. */
  domain: readonly [number, number | null];
  say: (value: number) => string;
  /** How the axis says a round number; like a point without it. */
  sayTick?: (value: number) => string;
}

const WIDTH = 320;
const HEIGHT = 160;
const PAD = { left: 52, right: 10, top: 10, bottom: 24 };

/** A line of few points over time, with its numbers on hover and in words for screen readers. */
export function SmallChart({ title, points, domain, say, sayTick = say }: SmallChartProps) {
  const id = useId();
  const shown = points.filter((point) => Number.isFinite(point.value));
  const [low, high] = [domain[0], domain[1] ?? Math.max(...shown.map((point) => point.value), domain[0])];
  const axis = ticks(low, high);
  const bottom = axis[0] ?? low;
  const top = domain[1] ?? axis.at(-1) ?? high;
  const x = (index: number) =>
    PAD.left + (shown.length === 1 ? 0.5 : index / (shown.length - 1)) * (WIDTH - PAD.left - PAD.right);
  const y = (value: number) => HEIGHT - PAD.bottom - ((value - bottom) / (top - bottom)) * (HEIGHT - PAD.top - PAD.bottom);
  const path = shown.map((point, index) => `${index === 0 ? "M" : "L"}${x(index).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  return (
    <Box component="figure" sx={{ m: 0 }}>
      <Box component="figcaption" id={id} sx={{ fontWeight: 600, fontSize: "0.8125rem", mb: 0.5 }}>
        {title}
      </Box>
      <Box component="svg" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-labelledby={id} sx={STYLE}>
        <desc>{shown.map((point) => `${point.label}: ${say(point.value)}`).join("; ")}</desc>
        {axis
          .filter((tick) => tick <= top)
          .map((tick) => (
            <g key={tick}>
              <line className="grid" x1={PAD.left} x2={WIDTH - PAD.right} y1={y(tick)} y2={y(tick)} />
              <text x={PAD.left - 8} y={y(tick)} textAnchor="end" dominantBaseline="middle">
                {sayTick(tick)}
              </text>
            </g>
          ))}
        <path className="line" d={path} />
        {shown.map((point, index) => (
          <circle key={index} cx={x(index)} cy={y(point.value)} r={index === shown.length - 1 ? 5 : 3.5}>
            <title>{`${point.label}: ${say(point.value)}`}</title>
          </circle>
        ))}
        <text x={PAD.left} y={HEIGHT - 4}>
          oldest
        </text>
        <text x={WIDTH - PAD.right} y={HEIGHT - 4} textAnchor="end">
          newest
        </text>
      </Box>
    </Box>
  );
}

const STYLE = {
  width: 1,
  display: "block",
  "& .grid": { stroke: "var(--mui-palette-divider)", strokeWidth: 1 },
  "& .line": { fill: "none", stroke: "var(--mui-palette-primary-main)", strokeWidth: 2, strokeLinejoin: "round" },
  "& circle": { fill: "var(--mui-palette-primary-main)", stroke: "var(--mui-palette-background-paper)", strokeWidth: 1.5 },
  "& text": { fill: "var(--mui-palette-text-secondary)", fontSize: 11 },
} as const;
