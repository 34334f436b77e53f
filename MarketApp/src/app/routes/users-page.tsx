import Box from "@mui/material/Box";
import { Outlet, useNavigate, useParams, useSearch } from "@tanstack/react-router";

import { SegmentTiles } from "@/features/users/segment-tiles";
import type { UsersSearch } from "@/features/users/users-search";
import { UsersPanel } from "@/features/users/users-panel";

const NO_FILTERS: UsersSearch = { q: undefined, segment: undefined, region: undefined, min: undefined, max: undefined };

/** For screen readers: to the eye, the list says what the page is. */
const visuallyHidden = { position: "absolute", width: "1px", height: "1px", m: "-1px", overflow: "hidden", clipPath: "inset(50%)" } as const;

/** The list beside the open user; on a phone one of the two. The filters live in the address. */
export function UsersPage() {
  const { q, segment, region, sort, order, min, max } = useSearch({ from: "/shoppers" });
  const search = { q, segment, region, sort, order, min, max };
  const { userId } = useParams({ strict: false });
  const navigate = useNavigate();
  const change = (patch: UsersSearch) => void navigate({ to: ".", search: (old) => ({ ...old, ...patch }), replace: true });
  const listOnPhone = userId === undefined ? "flex" : "none";
  return (
    <Box sx={{ flex: 1, minHeight: 0, display: "grid", gap: 2, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "400px minmax(0, 1fr)", lg: "440px minmax(0, 1fr)" }, gridTemplateRows: "minmax(0, 1fr)" }}>
      {userId === undefined && (
        <Box component="h1" sx={visuallyHidden}>
          Shoppers
        </Box>
      )}
      <Box sx={{ display: { xs: listOnPhone, md: "flex" }, flexDirection: "column", gap: 1.5, minHeight: { xs: 520, md: 0 } }}>
        <SegmentTiles selected={segment} onSelect={(chosen) => change({ segment: chosen })} />
        <Box sx={{ flex: 1, minHeight: 0 }}>
          <UsersPanel search={search} onChange={change} onClearFilters={() => change(NO_FILTERS)} />
        </Box>
      </Box>
      <Box sx={{ display: { xs: userId === undefined ? "none" : "block", md: "block" }, overflowY: { md: "auto" }, minHeight: 0 }}>
        <Outlet />
      </Box>
    </Box>
  );
}
