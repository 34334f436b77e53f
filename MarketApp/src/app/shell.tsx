import Box from "@mui/material/Box";
import IconButton from "@mui/material/IconButton";
import { useIsFetching, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";

import { CurrentService } from "@/app/current-service";
import { ThemeButton } from "@/app/theme-button";
import { RefreshIcon } from "@/components/icons";
import { ApiStatus } from "@/features/status/api-status";
import { DegradedBanner } from "@/features/status/degraded-banner";

const PLACES = [
  { to: "/", label: "Shoppers" },
  { to: "/what-if", label: "What if" },
  { to: "/history", label: "History" },
  { to: "/model", label: "Model" },
] as const;

/** The frame around every page; it fills the window, and what is inside scrolls. */
export function Shell() {
  return (
    <Box sx={{ height: "100dvh", display: "flex", flexDirection: "column" }}>
      <Box component="a" href="#main" sx={SKIP_LINK}>
        Skip to the content
      </Box>
      <Box component="header" sx={HEADER}>
        <Box sx={{ display: "flex", alignItems: "center", gap: 1, fontWeight: 700, fontSize: "1rem", letterSpacing: "-0.01em" }}>
          <img src="/icon.svg" alt="" width={26} height={26} />
          AnModel
        </Box>
        <Places />
        <Box sx={{ display: "flex", alignItems: "center", gap: { xs: 0.5, md: 1.5 }, ml: "auto" }}>
          <Box sx={{ display: { xs: "none", md: "block" } }}>
            <CurrentService />
          </Box>
          <ApiStatus />
          <RefreshButton />
          <ThemeButton />
        </Box>
      </Box>
      <Box component="main" id="main" tabIndex={-1} sx={MAIN}>
        <Box sx={{ "&:not(:empty)": { mb: 2 } }}>
          <DegradedBanner />
        </Box>
        <Outlet />
      </Box>
    </Box>
  );
}

function Places() {
  const { pathname } = useLocation();
  // An open shopper is still among the shoppers.
  const here = (to: string) => (to === "/" ? pathname === "/" || pathname.startsWith("/users/") : pathname === to);
  return (
    <Box component="nav" aria-label="Pages" sx={NAV}>
      {PLACES.map(({ to, label }) => (
        <Link
          key={to}
          to={to}
          search={({ service }) => (service ? { service } : {})}
          activeProps={{}}
          aria-current={here(to) ? "page" : undefined}
        >
          {label}
        </Link>
      ))}
    </Box>
  );
}

function RefreshButton() {
  const client = useQueryClient();
  const busy = useIsFetching() > 0;
  return (
    <IconButton aria-label="Refresh" title="Refresh" onClick={() => void client.invalidateQueries()}>
      <RefreshIcon
        sx={{
          animation: busy ? "turn 1s linear infinite" : "none",
          "@keyframes turn": { to: { transform: "rotate(360deg)" } },
        }}
      />
    </IconButton>
  );
}

const HEADER = {
  display: "flex",
  alignItems: "center",
  flexWrap: { xs: "wrap", md: "nowrap" },
  columnGap: { xs: 1, md: 4 },
  px: { xs: 2, md: 3 },
  minHeight: 60,
  borderBottom: 1,
  borderColor: "divider",
  bgcolor: "background.paper",
} as const;

const NAV = {
  order: { xs: 1, md: 0 },
  flexBasis: { xs: "100%", md: "auto" },
  alignSelf: "stretch",
  display: "flex",
  gap: 3,
  "& a": {
    display: "flex",
    alignItems: "center",
    py: { xs: 1, md: 0 },
    color: "text.secondary",
    fontWeight: 600,
    textDecoration: "none",
    borderBottom: "2px solid transparent",
    borderTop: "2px solid transparent",
  },
  "& a:hover": { color: "text.primary" },
  "& a[aria-current=page]": { color: "text.primary", borderBottomColor: "primary.main" },
} as const;

const MAIN = {
  flex: 1,
  minHeight: 0,
  display: "flex",
  flexDirection: "column",
  overflowY: "auto",
  p: { xs: 1.5, md: 3 },
  outline: "none",
} as const;

const SKIP_LINK = {
  position: "absolute",
  left: 16,
  top: -60,
  zIndex: 10,
  p: 1,
  bgcolor: "background.paper",
  color: "text.primary",
  "&:focus": { top: 12 },
} as const;
