import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Meter } from "@/components/meter";
import { useFormat } from "@/lib/app-context";
import type { Forecast } from "@/lib/api-types";

interface ResultProps {
  forecast: Forecast;
  /** The forecast before the changes; null where there is none to compare with. */
  before: Forecast | null;
  threshold: number;
  horizon: number;
}

/** The answer to a "what if", beside what it was before. */
export function Result({ forecast, before, threshold, horizon }: ResultProps) {
  const format = useFormat();
  return (
    <div>
      <Box component="dl" sx={{ m: 0, display: "grid", gap: { xs: 1, sm: 2 }, gridTemplateColumns: "repeat(3, 1fr)" }}>
        <Line
          label={`Chance to buy in ${horizon} days`}
          now={format.chance(forecast.purchase_proba)}
          before={before && format.chance(before.purchase_proba)}
        />
        <Line
          label={forecast.will_purchase_pred ? "Next purchase" : "Purchase, if there is one"}
          now={format.when(forecast.days_to_next_pred)}
          before={before && format.when(before.days_to_next_pred)}
        />
        <Line
          label={forecast.will_purchase_pred ? "Next amount about" : "Amount, if there is one"}
          now={format.money(forecast.next_purchase_amount_pred)}
          before={before && format.money(before.next_purchase_amount_pred)}
        />
      </Box>
      <Box sx={{ mt: 2 }}>
        <Meter value={forecast.purchase_proba} mark={threshold} height={8} />
      </Box>
      <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
        {forecast.will_purchase_pred ? "A purchase is expected" : "No purchase is expected"}: the line stands at {format.chance(threshold)}.
      </Typography>
    </div>
  );
}

function Line({ label, now, before }: { label: string; now: string; before: string | null }) {
  return (
    <div>
      <Typography component="dt" variant="body2" color="textSecondary">
        {label}
      </Typography>
      <Box component="dd" sx={{ m: 0 }}>
        <Box sx={{ fontSize: { xs: "1.1rem", sm: "1.5rem" }, fontWeight: 650, letterSpacing: "-0.02em" }}>{now}</Box>
        {before && (
          <Typography variant="caption" color="textSecondary">
            {before === now ? "as before" : `was ${before}`}
          </Typography>
        )}
      </Box>
    </div>
  );
}
