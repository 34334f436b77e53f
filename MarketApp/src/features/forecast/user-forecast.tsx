import Alert from "@mui/material/Alert";
import Box from "@mui/material/Box";

import { Panel } from "@/components/panel";
import { Prose } from "@/components/prose";
import { Activity } from "@/features/forecast/activity";
import { Ahead } from "@/features/forecast/ahead";
import { Headline } from "@/features/forecast/headline";
import { MicroTrends } from "@/features/forecast/micro-trends";
import { Reasons } from "@/features/forecast/reasons";
import { RecentEvents } from "@/features/forecast/recent-events";
import { forecastOf, type ModelInfo, type UserDetail } from "@/lib/api-types";
import { capitalise } from "@/lib/format";

interface UserForecastProps {
  user: UserDetail;
  /** Absent while it loads or when no model is there; the forecast is shown all the same. */
  model: ModelInfo | undefined;
}

/** One user's forecast and what it rests on. */
export function UserForecast({ user, model }: UserForecastProps) {
  const forecast = forecastOf(user.features);
  const horizon = model?.horizon_days ?? 7;
  const described = new Map(model?.described.map((feature) => [feature.name, feature]));
  if (!forecast) {
    return (
      <Box sx={{ display: "grid", gap: 2 }}>
        <Alert severity="info" variant="outlined" sx={{ bgcolor: "background.paper" }}>
          <strong>No forecast for this user.</strong> {user.reason && <Prose text={capitalise(user.reason)} />}
        </Alert>
        <RecentEvents events={user.recent_events} />
      </Box>
    );
  }
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Panel title="Forecast">
        <Headline user={user} forecast={forecast} horizon={horizon} threshold={model?.optimal_threshold} />
      </Panel>
      <Ahead features={user.features} horizon={horizon} />
      <Reasons reasons={user.reasons} />
      <MicroTrends features={user.features} described={described} />
      <Activity features={user.features} described={described} />
      <RecentEvents events={user.recent_events} />
    </Box>
  );
}
