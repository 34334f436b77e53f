import Box from "@mui/material/Box";

interface MeterProps {
  /** 0 to 1; what lies outside is drawn at the edge. */
  value: number;
  /** Where a mark stands, 0 to 1. */
  mark?: number;
  color?: string;
  height?: number;
}

/** A bar that repeats a number said beside it, so it is hidden from screen readers. */
export function Meter({ value, mark, color = "primary.main", height = 6 }: MeterProps) {
  const share = (part: number) => `${Math.min(1, Math.max(0, part)) * 100}%`;
  return (
    <Box aria-hidden sx={{ position: "relative", height, borderRadius: 99, bgcolor: "divider" }}>
      <Box style={{ width: share(value) }} sx={{ height: 1, borderRadius: 99, bgcolor: color }} />
      {mark !== undefined && (
        <Box
          style={{ left: share(mark) }}
          sx={{ position: "absolute", top: -3, bottom: -3, width: 2, ml: "-1px", bgcolor: "text.primary", borderRadius: 1 }}
        />
      )}
    </Box>
  );
}
