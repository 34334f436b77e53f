import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";

import { Figure, FigureGrid } from "@/components/figure";
import { Meter } from "@/components/meter";
import { Panel } from "@/components/panel";
import { weekAgainstMonth } from "@/features/forecast/insight";
import { useFormat } from "@/lib/app-context";
import type { DescribedFeature, Features } from "@/lib/api-types";
import { kindOf, type Kind } from "@/lib/format";

// What a marketer asks first; a model without one of them shows one figure less.
const FIRST: readonly { name: string; label: string; kind?: Kind }[] = [
  { name: "days_since_last", label: "Days since last visit" },
  { name: "events_last_7d", label: "Events, 7 days" },
  { name: "events_last_30d", label: "Events, 30 days" },
  { name: "total_purchases", label: "Purchases in all" },
  { name: "purchases_last_30d", label: "Purchases, 30 days" },
  { name: "total_spent", label: "Spent in all", kind: "money" },
  { name: "spent_last_30d", label: "Spent, 30 days", kind: "money" },
  { name: "avg_order_value_30d", label: "Average order, 30 days", kind: "money" },
  { name: "conversion_rate_30d", label: "Conversion, 30 days", kind: "share" },
  { name: "purchase_frequency", label: "Purchases per active day" },
];

interface ActivityProps {
  features: Features;
  described: ReadonlyMap<string, DescribedFeature>;
}

export function Activity({ features, described }: ActivityProps) {
  const format = useFormat();
  const pace = weekAgainstMonth(features);
  return (
    <Panel title="Activity and spend" note="Spend counts purchases only">
      <FigureGrid>
        {FIRST.filter(({ name }) => name in features).map(({ name, label, kind }) => (
          <Figure key={name} label={label} value={format.value(features[name], kind ?? kindOf(name, described.get(name)?.unit))} />
        ))}
      </FigureGrid>
      {pace && (
        <Box sx={{ mt: 2 }}>
          <Typography variant="body2" sx={{ mb: 1 }}>
            {pace.usual > 0
              ? `${format.whole(pace.week)} ${pace.week === 1 ? "event" : "events"} this week; an average week of the last 30 days has ${format.tenths(pace.usual)}.`
              : "No events in the last 30 days."}
          </Typography>
          {pace.usual > 0 && (
            <Meter
              value={pace.week / Math.max(pace.week, pace.usual, 1)}
              mark={pace.usual / Math.max(pace.week, pace.usual, 1)}
              height={8}
            />
          )}
        </Box>
      )}
    </Panel>
  );
}
