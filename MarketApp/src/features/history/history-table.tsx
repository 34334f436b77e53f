import { Link } from "@tanstack/react-router";

import { DataTable, type Columns } from "@/components/data-table";
import type { Entry } from "@/features/history/history-store";
import { useFormat } from "@/lib/app-context";
import { shortId, type Format } from "@/lib/format";
import { useMemo } from "react";

const NUMERIC = ["chance", "days", "amount"];

export function HistoryTable({ entries }: { entries: readonly Entry[] }) {
  const format = useFormat();
  const columns = useMemo(() => columnsFor(format), [format]);
  const rows = useMemo(() => [...entries], [entries]);
  return <DataTable caption="Past forecasts" columns={columns} rows={rows} numeric={NUMERIC} />;
}

function columnsFor(format: Format): Columns<Entry> {
  return [
    { id: "at", header: "Time", accessorFn: (entry) => entry.at, cell: ({ row }) => format.moment(row.original.at) },
    {
      id: "user",
      header: "User",
      accessorFn: (entry) => entry.userId ?? "",
      cell: ({ row: { original } }) =>
        original.userId ? (
          <Link to="/users/$userId" params={{ userId: original.userId }} title={original.userId} style={{ color: "inherit" }}>
            {shortId(original.userId)}
          </Link>
        ) : (
          "medians"
        ),
    },
    {
      id: "changes",
      header: "Changed",
      accessorFn: (entry) => entry.changes.length,
      cell: ({ row }) => describeChanges(row.original, format),
    },
    { id: "chance", header: "Chance", accessorFn: (entry) => entry.purchase_proba, cell: ({ row }) => format.chance(row.original.purchase_proba) },
    { id: "buys", header: "Buys", accessorFn: (entry) => entry.will_purchase_pred, cell: ({ row }) => (row.original.will_purchase_pred ? "yes" : "no") },
    { id: "days", header: "Days", accessorFn: (entry) => entry.days_to_next_pred, cell: ({ row }) => format.tenths(row.original.days_to_next_pred) },
    {
      id: "amount",
      header: "Amount",
      accessorFn: (entry) => entry.next_purchase_amount_pred,
      cell: ({ row }) => format.money(row.original.next_purchase_amount_pred),
    },
    {
      id: "model",
      header: "Model",
      accessorFn: (entry) => entry.service,
      cell: ({ row: { original } }) => `${original.service} v${original.modelVersion ?? "?"}`,
    },
  ];
}

function describeChanges({ changes }: Entry, format: Format): string {
  const [first] = changes;
  if (!first) return "nothing";
  const say = (value: unknown) => format.value(value, "plain");
  const more = changes.length > 1 ? ` and ${changes.length - 1} more` : "";
  return `${first.feature}: ${say(first.from)} → ${say(first.to)}${more}`;
}
