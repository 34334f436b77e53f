import Alert from "@mui/material/Alert";
import Box from "@mui/material/Box";
import { useQuery } from "@tanstack/react-query";

import { Failure } from "@/components/failure";
import { Prose } from "@/components/prose";
import { readinessQuery } from "@/features/status/get-status";
import { useApi } from "@/lib/app-context";
import { capitalise } from "@/lib/format";

/** Says plainly what is missing, as long as something is. */
export function DegradedBanner() {
  const ready = useQuery(readinessQuery(useApi()));
  if (ready.isError) {
    return <Failure what="The gateway cannot be reached" error={ready.error} onRetry={() => void ready.refetch()} />;
  }
  if (ready.data?.status !== "degraded") return null;
  return (
    <Alert severity="warning" variant="outlined" sx={{ bgcolor: "background.paper" }}>
      <strong>{ready.data.mode === "fallback" ? "Fallback mode: shoppers are listed without forecasts." : "Some parts are missing."}</strong>
      {ready.data.missing.map(({ part, reason }) => (
        <Box key={part} sx={{ mt: 0.5 }}>
          {capitalise(part)}: <Prose text={reason} />
        </Box>
      ))}
    </Alert>
  );
}
