import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";
import type { ReactNode } from "react";

import { Meter } from "@/components/meter";
import { insight } from "@/features/forecast/insight";
import { useFormat } from "@/lib/app-context";
import type { Forecast, UserDetail } from "@/lib/api-types";

interface HeadlineProps {
  user: UserDetail;
  forecast: Forecast;
  horizon: number;
  threshold: number | undefined;
}

/** The three answers: will they buy, when, for how much. */
export function Headline({ user, forecast, horizon, threshold }: HeadlineProps) {
  const format = useFormat();
  const { days_to_next: days, next_purchase_amount: amount } = user.intervals ?? {};
  const tone = user.segment ? `tone.${user.segment}.fg` : "primary.main";
  return (
    <div>
      <Typography sx={{ fontSize: "1rem", mb: 2 }}>{insight(forecast, horizon, format)}</Typography>
      <Box component="dl" sx={{ m: 0, display: "grid", gap: 1.5, gridTemplateColumns: { xs: "1fr", sm: "repeat(3, 1fr)" } }}>
        <Answer
          label={`Chance to buy in ${horizon} days`}
          value={format.chance(forecast.purchase_proba)}
          note={threshold !== undefined && `A purchase is expected from ${format.chance(threshold)} on`}
        >
          <Meter value={forecast.purchase_proba} mark={threshold} color={tone} height={8} />
        </Answer>
        <Answer
          label={forecast.will_purchase_pred ? "Next purchase" : "Purchase, if there is one"}
          value={format.when(forecast.days_to_next_pred)}
          note={days && `80% range: ${format.range(days[0], days[1], format.tenths)} days`}
        />
        <Answer
          label={forecast.will_purchase_pred ? "Next amount about" : "Amount, if there is one"}
          value={format.money(forecast.next_purchase_amount_pred)}
          note={amount && `80% range: ${format.range(amount[0], amount[1], format.money)}`}
        />
      </Box>
    </div>
  );
}

interface AnswerProps {
  label: string;
  value: string;
  note?: ReactNode;
  children?: ReactNode;
}

function Answer({ label, value, note, children }: AnswerProps) {
  return (
    <Box sx={{ p: 1.75, borderRadius: 1, bgcolor: "background.default", display: "flex", flexDirection: "column", gap: 0.5 }}>
      <Typography component="dt" variant="body2" color="textSecondary">
        {label}
      </Typography>
      <Box component="dd" sx={{ m: 0, fontSize: "1.5rem", fontWeight: 650, lineHeight: 1.2, letterSpacing: "-0.02em" }}>
        {value}
      </Box>
      <Box component="dd" sx={{ m: 0, mt: "auto" }}>
        {children}
        {note && (
          <Typography variant="caption" color="textSecondary" component="div" sx={{ mt: 0.75 }}>
            {note}
          </Typography>
        )}
      </Box>
    </Box>
  );
}
