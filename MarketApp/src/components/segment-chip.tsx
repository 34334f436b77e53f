import Box from "@mui/material/Box";

import type { Segment } from "@/lib/api-types";
import { SEGMENTS } from "@/lib/segments";

export function SegmentChip({ segment }: { segment: Segment }) {
  return (
    <Box
      component="span"
      title={SEGMENTS[segment].meaning}
      sx={{
        px: 1,
        py: 0.125,
        borderRadius: 99,
        fontSize: "0.75rem",
        fontWeight: 600,
        lineHeight: 1.5,
        whiteSpace: "nowrap",
        color: `tone.${segment}.fg`,
        bgcolor: `tone.${segment}.bg`,
      }}
    >
      {SEGMENTS[segment].label}
    </Box>
  );
}
