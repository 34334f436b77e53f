import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Meter } from "@/components/meter";
import { Panel } from "@/components/panel";
import { outlookOf, type Features } from "@/lib/api-types";
import { useFormat } from "@/lib/app-context";

/** The chance as time goes on, and what to expect to be spent; nothing for a forecast that does not say. */
export function Ahead({ features, horizon }: { features: Features; horizon: number }) {
  const format = useFormat();
  const { chances, spend } = outlookOf(features);
  if (chances.length === 0) return null;
  return (
    <Panel title="Days ahead">
      <Box component="dl" sx={{ m: 0, display: "grid", gap: 1, gridTemplateColumns: "max-content minmax(0, 1fr) max-content", alignItems: "center" }}>
        {chances.map(({ days, chance }) => (
          <Box key={days} sx={{ display: "contents" }}>
            <Typography component="dt" variant="body2" color="textSecondary">
              {days === 1 ? "Within a day" : `Within ${days} days`}
            </Typography>
            <Box component="dd" aria-hidden sx={{ m: 0 }}>
              <Meter value={chance} height={8} />
            </Box>
            <Box component="dd" sx={{ m: 0, textAlign: "right", fontWeight: 650, fontVariantNumeric: "tabular-nums" }}>
              {format.chance(chance)}
            </Box>
          </Box>
        ))}
      </Box>
      {spend && (
        <Typography variant="body2" color="textSecondary" sx={{ mt: 1.5 }}>
          Users like this one spend {format.money(spend.mean)} on average within {horizon} days; a typical one spends{" "}
          {spend.median > 0 ? format.money(spend.median) : "nothing"}.
        </Typography>
      )}
    </Panel>
  );
}
