import Box from "@mui/material/Box";

import { SmallChart } from "@/components/small-chart";
import type { Entry } from "@/features/history/history-store";
import { useFormat } from "@/lib/app-context";

/** One chart a quantity, each with an axis of its own, oldest answer at the left. */
export default function HistoryCharts({ entries }: { entries: readonly Entry[] }) {
  const format = useFormat();
  const oldestFirst = entries.toReversed();
  const points = (pick: (entry: Entry) => number) =>
    oldestFirst.map((entry) => ({ label: format.moment(entry.at), value: pick(entry) }));
  return (
    <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "1fr", md: "repeat(3, 1fr)" } }}>
      <SmallChart title="Chance to buy" points={points((entry) => entry.purchase_proba)} domain={[0, 1]} say={format.chance} sayTick={format.percent} />
      <SmallChart title="Days to next purchase" points={points((entry) => entry.days_to_next_pred)} domain={[0, null]} say={format.tenths} />
      <SmallChart title="Next amount" points={points((entry) => entry.next_purchase_amount_pred)} domain={[0, null]} say={format.money} />
    </Box>
  );
}
