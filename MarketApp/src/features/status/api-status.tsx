import Box from "@mui/material/Box";
import { useQuery } from "@tanstack/react-query";

import { readinessQuery } from "@/features/status/get-status";
import { useApi } from "@/lib/app-context";

/** Whether the gateway answers and has all it needs, asked twice a minute. */
export function ApiStatus() {
  const ready = useQuery(readinessQuery(useApi()));
  const { tone, text } = judge(ready.isError, ready.data?.status);
  return (
    <Box
      role="status"
      sx={{
        display: "inline-flex",
        alignItems: "center",
        gap: 0.75,
        px: 1.25,
        height: 30,
        borderRadius: 99,
        fontSize: "0.75rem",
        fontWeight: 600,
        whiteSpace: "nowrap",
        color: `tone.${tone}.fg`,
        bgcolor: `tone.${tone}.bg`,
      }}
    >
      <Box component="span" aria-hidden sx={{ width: 8, height: 8, borderRadius: 99, bgcolor: "currentColor" }} />
      {text}
    </Box>
  );
}

function judge(failed: boolean, status: "ready" | "degraded" | undefined) {
  if (failed) return { tone: "down", text: "API offline" } as const;
  if (status === "ready") return { tone: "up", text: "API ready" } as const;
  if (status === "degraded") return { tone: "warm", text: "API degraded" } as const;
  return { tone: "ignore", text: "API …" } as const;
}
