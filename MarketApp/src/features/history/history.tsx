import Alert from "@mui/material/Alert";
import Box from "@mui/material/Box";
import Button from "@mui/material/Button";
import Skeleton from "@mui/material/Skeleton";
import { lazy, Suspense, useState } from "react";

import { Empty } from "@/components/empty";
import { DownloadIcon } from "@/components/icons";
import { Panel } from "@/components/panel";
import { HISTORY_LIMIT, type Entry } from "@/features/history/history-store";
import { HistoryTable } from "@/features/history/history-table";
import { useEntries, useHistoryStore } from "@/features/history/use-history";
import { download, toCsv } from "@/lib/csv";

const HistoryCharts = lazy(() => import("@/features/history/history-charts"));

/** The last answers to "what if": charts, table, file; clearing can be undone. */
export function History() {
  const store = useHistoryStore();
  const entries = useEntries();
  const [cleared, setCleared] = useState<readonly Entry[] | null>(null);
  const clear = () => {
    setCleared(entries);
    store.replace([]);
  };
  const undo = () => {
    store.replace([...entries, ...(cleared ?? [])]);
    setCleared(null);
  };
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
      {cleared && (
        <Alert severity="info" action={<Button onClick={undo}>Undo</Button>} role="status">
          The history was cleared.
        </Alert>
      )}
      {entries.length === 0 ? (
        <Panel title="History">
          <Empty title="No forecasts asked for yet">Open “What if”, change a value and ask the model: its answers are kept here.</Empty>
        </Panel>
      ) : (
        <>
          <Panel title="Answers over time" note={`The last ${HISTORY_LIMIT} questions to the model, kept in this browser only`}>
            <Suspense fallback={<Skeleton variant="rounded" height={170} />}>
              <HistoryCharts entries={entries} />
            </Suspense>
          </Panel>
          <Panel
            title="Past forecasts"
            action={
              <Box sx={{ display: "flex", gap: 1 }}>
                <Button startIcon={<DownloadIcon />} onClick={() => download("history.csv", historyCsv(entries))}>
                  CSV
                </Button>
                <Button color="error" onClick={clear}>
                  Clear
                </Button>
              </Box>
            }
          >
            <HistoryTable entries={entries} />
          </Panel>
        </>
      )}
    </Box>
  );
}

export function historyCsv(entries: readonly Entry[]): string {
  const header = [
    "at",
    "service",
    "model_version",
    "user_id",
    "purchase_proba",
    "will_purchase_pred",
    "days_to_next_pred",
    "next_purchase_amount_pred",
    "changes",
  ];
  return toCsv(
    header,
    entries.map((entry) => [
      entry.at,
      entry.service,
      entry.modelVersion,
      entry.userId,
      entry.purchase_proba,
      entry.will_purchase_pred,
      entry.days_to_next_pred,
      entry.next_purchase_amount_pred,
      entry.changes.map(({ feature, from, to }) => `${feature}: ${from} → ${to}`).join("; "),
    ]),
  );
}
