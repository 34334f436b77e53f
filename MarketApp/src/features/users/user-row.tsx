import Box from "@mui/material/Box";
import Skeleton from "@mui/material/Skeleton";
import { Link } from "@tanstack/react-router";

import { Meter } from "@/components/meter";
import { SegmentChip } from "@/components/segment-chip";
import { useFormat } from "@/lib/app-context";
import { forecastOf, type User } from "@/lib/api-types";
import { shortId } from "@/lib/format";

export const ROW_HEIGHT = 68;

interface UserRowProps {
  /** Undefined while its page is on the way. */
  user: User | undefined;
  index: number;
}

export function UserRow({ user, index }: UserRowProps) {
  if (!user) {
    return (
      <Box data-row={index} tabIndex={-1} sx={{ px: 2, py: 1.5, "&:focus-visible": { outlineOffset: -2 } }}>
        <Skeleton width="60%" />
        <Skeleton width="35%" />
      </Box>
    );
  }
  const forecast = forecastOf(user.features);
  return (
    <Box
      component={Link}
      to="/users/$userId"
      params={{ userId: user.user_id } as never}
      search={keepSearch as never}
      data-row={index}
      title={user.user_id}
      sx={ROW_STYLE}
    >
      <Box sx={{ minWidth: 0 }}>
        <Box sx={{ fontWeight: 600, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{shortId(user.user_id)}</Box>
        <Box sx={{ display: "flex", gap: 1, alignItems: "center", mt: 0.25, color: "text.secondary", fontSize: "0.75rem" }}>
          {user.segment && <SegmentChip segment={user.segment} />}
          {user.region && <span>{user.region}</span>}
        </Box>
      </Box>
      {forecast ? <Chance user={user} /> : <Box sx={{ color: "text.secondary", fontSize: "0.75rem" }}>no forecast</Box>}
    </Box>
  );
}

function Chance({ user }: { user: User }) {
  const format = useFormat();
  const forecast = forecastOf(user.features);
  if (!forecast) return null;
  const tone = user.segment ? `tone.${user.segment}.fg` : "primary.main";
  return (
    <Box sx={{ width: 150 }}>
      <Box sx={{ display: "flex", justifyContent: "space-between", alignItems: "baseline" }}>
        <Box component="span" sx={{ color: "text.secondary", fontSize: "0.75rem" }}>
          {format.money(forecast.next_purchase_amount_pred)} · {shortDays(forecast.days_to_next_pred)}
        </Box>
        <Box component="span" sx={{ fontWeight: 650 }}>
          {format.chance(forecast.purchase_proba)}
        </Box>
      </Box>
      <Box sx={{ mt: 0.75 }}>
        <Meter value={forecast.purchase_proba} color={tone} />
      </Box>
    </Box>
  );
}

const shortDays = (days: number) => (days < 1 ? "<1 d" : `${Math.round(days)} d`);

const keepSearch = (search: object) => search;

const ROW_STYLE = {
  display: "flex",
  alignItems: "center",
  justifyContent: "space-between",
  gap: 2,
  height: 1,
  px: 2,
  color: "inherit",
  textDecoration: "none",
  borderBottom: 1,
  borderColor: "divider",
  borderLeft: "3px solid transparent",
  "&:hover": { bgcolor: "action.hover" },
  "&:focus-visible": { outlineOffset: -2 },
  "&[aria-current=page]": { bgcolor: "action.selected", borderLeftColor: "primary.main" },
} as const;
