import Box from "@mui/material/Box";
import ButtonBase from "@mui/material/ButtonBase";
import Skeleton from "@mui/material/Skeleton";
import { useQuery } from "@tanstack/react-query";

import { segmentsQuery } from "@/features/users/get-users";
import { useApi, useFormat } from "@/lib/app-context";
import type { Segment } from "@/lib/api-types";
import { SEGMENT_ORDER, SEGMENTS } from "@/lib/segments";

interface SegmentTilesProps {
  selected: Segment | undefined;
  onSelect: (segment: Segment | undefined) => void;
}

/** How many users each segment has and what they are expected to spend; a click filters the list by it. */
export function SegmentTiles({ selected, onSelect }: SegmentTilesProps) {
  const format = useFormat();
  const { data, isPending } = useQuery(segmentsQuery(useApi()));
  if (!isPending && !data?.segments.length) return null;
  return (
    <Box role="group" aria-label="Segments" sx={{ display: "grid", gridTemplateColumns: "repeat(4, 1fr)", gap: { xs: 1, md: 1.5 } }}>
      {SEGMENT_ORDER.map((segment) => {
        const size = data?.segments.find((item) => item.segment === segment);
        const pressed = selected === segment;
        return (
          <ButtonBase
            key={segment}
            aria-pressed={pressed}
            title={SEGMENTS[segment].meaning}
            onClick={() => onSelect(pressed ? undefined : segment)}
            sx={{
              display: "flex",
              flexDirection: "column",
              alignItems: "flex-start",
              justifyContent: "flex-start",
              font: "inherit",
              textAlign: "left",
              p: { xs: 1, md: 1.5 },
              borderRadius: 1,
              border: 1,
              borderColor: pressed ? `tone.${segment}.fg` : "divider",
              boxShadow: (theme) => (pressed ? `inset 0 0 0 1px ${theme.vars?.palette.tone[segment].fg ?? ""}` : "none"),
              bgcolor: "background.paper",
              "&:hover": { borderColor: `tone.${segment}.fg` },
            }}
          >
            <Box sx={{ color: `tone.${segment}.fg`, fontWeight: 600, fontSize: "0.8125rem" }}>{SEGMENTS[segment].label}</Box>
            <Box sx={{ fontSize: { xs: "1.05rem", md: "1.35rem" }, fontWeight: 650, lineHeight: 1.3 }}>
              {isPending ? <Skeleton width={48} /> : format.whole(size?.users ?? 0)}
            </Box>
            <Box sx={{ color: "text.secondary", fontSize: "0.75rem" }}>
              {isPending ? (
                <Skeleton width={72} />
              ) : (
                <>
                  {format.moneyShort(size?.expected_revenue ?? 0)}
                  <Box component="span" sx={{ display: { xs: "none", sm: "block" } }}>
                    expected
                  </Box>
                </>
              )}
            </Box>
          </ButtonBase>
        );
      })}
    </Box>
  );
}
