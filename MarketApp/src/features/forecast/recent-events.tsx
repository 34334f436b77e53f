import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Panel } from "@/components/panel";
import { useFormat } from "@/lib/app-context";
import type { RecentEvent } from "@/lib/api-types";
import { humanise } from "@/lib/format";

/** The user's latest events, newest first. */
export function RecentEvents({ events }: { events: readonly RecentEvent[] }) {
  const format = useFormat();
  return (
    <Panel title="Recent events">
      {events.length === 0 ? (
        <Typography color="textSecondary">No events of this user are stored.</Typography>
      ) : (
        <Box component="ol" sx={{ m: 0, p: 0, listStyle: "none", maxHeight: 320, overflowY: "auto" }} tabIndex={0} aria-label="Recent events">
          {events.map((event, index) => (
            <Box component="li" key={`${event.ts}-${index}`} sx={LINE}>
              <Box component="time" dateTime={event.ts} sx={{ color: "text.secondary", fontSize: "0.75rem" }}>
                {format.moment(event.ts)}
              </Box>
              <Box sx={{ fontWeight: event.event_type === "purchase" ? 650 : 400, color: event.event_type === "purchase" ? "tone.up.fg" : "inherit" }}>
                {humanise(event.event_type)}
              </Box>
              <Box sx={{ color: "text.secondary", overflow: "hidden", textOverflow: "ellipsis" }}>{event.item_id}</Box>
              <Box sx={{ textAlign: "right" }}>{event.price !== null && format.money(event.price)}</Box>
            </Box>
          ))}
        </Box>
      )}
    </Panel>
  );
}

const LINE = {
  display: "grid",
  gridTemplateColumns: { xs: "1fr auto", sm: "150px 120px 1fr auto" },
  gap: { xs: "0 8px", sm: "0 16px" },
  alignItems: "baseline",
  py: 0.75,
  borderBottom: 1,
  borderColor: "divider",
  fontSize: "0.8125rem",
  "&:last-of-type": { borderBottom: 0 },
} as const;
