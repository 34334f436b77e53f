import Box from "@mui/material/Box";
import Skeleton from "@mui/material/Skeleton";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";

import { WhatIfForUser } from "@/app/routes/what-if-for-user";
import { useService } from "@/app/use-service";
import { Failure } from "@/components/failure";
import { BackIcon } from "@/components/icons";
import { UserForecast } from "@/features/forecast/user-forecast";
import { UserHeader } from "@/features/forecast/user-header";
import { useApi } from "@/lib/app-context";
import { userQuery } from "@/lib/get-user";
import { useModelInfo } from "@/lib/model-info";

/** One user, from the address: the forecast at once, the "what if" beside it. */
export function UserPage() {
  const { userId } = useParams({ from: "/shoppers/users/$userId" });
  const { view } = useSearch({ from: "/shoppers/users/$userId" });
  const user = useQuery(userQuery(useApi(), userId));
  const model = useModelInfo(useService());
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)", maxWidth: 980 }}>
      <Box sx={{ display: { xs: "block", md: "none" } }}>
        <Link to="/" search={({ view: _, ...rest }) => rest} style={{ color: "inherit", display: "inline-flex", alignItems: "center", gap: 6 }}>
          <BackIcon /> All shoppers
        </Link>
      </Box>
      {user.isError && <Failure what="This user could not be loaded" error={user.error} onRetry={() => void user.refetch()} />}
      {user.isPending && <Loading />}
      {user.data && (
        <>
          <UserHeader user={user.data} />
          <Views />
          {view === "what-if" ? (
            <WhatIfForUser key={userId} userId={userId} features={user.data.features} />
          ) : (
            <UserForecast user={user.data} model={model.data} />
          )}
        </>
      )}
    </Box>
  );
}

function Views() {
  const { userId } = useParams({ from: "/shoppers/users/$userId" });
  return (
    <Box component="nav" aria-label="Views of this user" sx={VIEWS}>
      <Link to="/users/$userId" params={{ userId }} search={({ view: _, ...rest }) => rest} activeOptions={{ exact: true, explicitUndefined: true }}>
        Forecast
      </Link>
      <Link to="/users/$userId" params={{ userId }} search={(old) => ({ ...old, view: "what-if" as const })}>
        What if
      </Link>
    </Box>
  );
}

function Loading() {
  return (
    <Box role="status" aria-label="Loading the forecast" sx={{ display: "grid", gap: 2 }}>
      <Skeleton width={320} height={36} />
      <Skeleton variant="rounded" height={190} />
      <Skeleton variant="rounded" height={190} />
    </Box>
  );
}

const VIEWS = {
  display: "inline-flex",
  justifySelf: "start",
  p: 0.5,
  gap: 0.5,
  borderRadius: 1,
  border: 1,
  borderColor: "divider",
  bgcolor: "background.paper",
  "& a": { px: 1.75, py: 0.5, borderRadius: 0.8, color: "text.secondary", fontWeight: 600, fontSize: "0.8125rem", textDecoration: "none" },
  "& a[aria-current=page]": { color: "primary.main", bgcolor: "action.selected" },
} as const;
