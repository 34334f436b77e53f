import Box from "@mui/material/Box";
import IconButton from "@mui/material/IconButton";
import Typography from "@mui/material/Typography";
import { useState } from "react";

import { CopyIcon } from "@/components/icons";
import { SegmentChip } from "@/components/segment-chip";
import { rank } from "@/features/forecast/insight";
import { useFormat } from "@/lib/app-context";
import type { UserDetail } from "@/lib/api-types";

export function UserHeader({ user }: { user: UserDetail }) {
  const format = useFormat();
  const facts = [
    user.region,
    user.percentile !== null && rank(user.percentile),
    typeof user.features.snapshot_date === "string" && `as of ${format.day(user.features.snapshot_date)}`,
  ].filter(Boolean);
  return (
    <Box component="header">
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, flexWrap: "wrap" }}>
        <Typography variant="h1" sx={{ overflowWrap: "anywhere" }}>
          {user.user_id}
        </Typography>
        <CopyButton text={user.user_id} />
        {user.segment && <SegmentChip segment={user.segment} />}
      </Box>
      <Typography color="textSecondary">{facts.join(" · ")}</Typography>
    </Box>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false));
  return (
    <>
      <IconButton size="small" aria-label="Copy the user id" title="Copy the user id" onClick={() => void copy()} onBlur={() => setCopied(false)}>
        <CopyIcon />
      </IconButton>
      <Typography role="status" variant="caption" color="textSecondary">
        {copied && "copied"}
      </Typography>
    </>
  );
}
