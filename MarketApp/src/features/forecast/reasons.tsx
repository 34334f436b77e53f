import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Panel } from "@/components/panel";
import type { Reason } from "@/lib/api-types";

/** Why the chance is what it is, in words; the bar's length is how much a reason weighs beside the others. */
export function Reasons({ reasons }: { reasons: readonly Reason[] }) {
  const most = Math.max(...reasons.map((reason) => Math.abs(reason.effect)), Number.MIN_VALUE);
  return (
    <Panel title="Why" note="What moves this forecast away from an average user's, strongest first">
      {reasons.length === 0 ? (
        <Typography color="textSecondary">The model gave no reasons for this user.</Typography>
      ) : (
        <Box component="ul" sx={{ m: 0, p: 0, listStyle: "none", display: "grid", gap: 1.25 }}>
          {reasons.map((reason) => (
            <ReasonLine key={reason.feature} reason={reason} share={Math.abs(reason.effect) / most} />
          ))}
        </Box>
      )}
    </Panel>
  );
}

function ReasonLine({ reason, share }: { reason: Reason; share: number }) {
  const raises = reason.effect >= 0;
  const tone = raises ? "tone.up" : "tone.down";
  return (
    <Box component="li" sx={{ display: "grid", gridTemplateColumns: "1fr auto", columnGap: 2, alignItems: "center" }}>
      <Box sx={{ "&::first-letter": { textTransform: "uppercase" } }} title={reason.feature}>
        {reason.text}
      </Box>
      <Box sx={{ display: "flex", alignItems: "center", gap: 1 }}>
        <Box sx={{ fontSize: "0.75rem", fontWeight: 600, color: `${tone}.fg` }}>{raises ? "raises" : "lowers"}</Box>
        <Box aria-hidden sx={{ width: { xs: 64, sm: 120 }, height: 8, borderRadius: 99, bgcolor: "background.default" }}>
          <Box style={{ width: `${Math.max(4, share * 100)}%` }} sx={{ height: 1, borderRadius: 99, bgcolor: `${tone}.fg`, opacity: 0.85 }} />
        </Box>
      </Box>
    </Box>
  );
}
