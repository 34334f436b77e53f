import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";
import { useMemo } from "react";

import { DataTable, type Columns } from "@/components/data-table";
import { Figure, FigureGrid } from "@/components/figure";
import { Panel } from "@/components/panel";
import { DIRECTIONS, qualityOf, verdictOf, type Column, type Measure, type QualityRow } from "@/features/model/metrics";
import { useFormat } from "@/lib/app-context";
import type { ModelInfo } from "@/lib/api-types";
import type { Format } from "@/lib/format";

const TITLES: Record<Column, { label: string; meaning: string }> = {
  test: { label: "Model", meaning: "On the latest days, which it never saw" },
  rfm: { label: "RFM", meaning: "A simple rule of recency, frequency and money, on the test days" },
  recency: { label: "Recency", meaning: "A simple rule of the days since the last visit, on the test days" },
  alike: { label: "All alike", meaning: "Everybody gets the share of buyers, and the median day and amount, on the test days" },
};

/** How good the model is, beside simple forecasts of the same days. */
export function ModelQuality({ model }: { model: ModelInfo }) {
  const format = useFormat();
  const quality = useMemo(() => qualityOf(model.metrics), [model.metrics]);
  const columns = useMemo(() => columnsFor(quality.columns, format), [quality.columns, format]);
  const verdict = verdictOf(model.metrics);
  return (
    <Panel title="How good it is" note="Measured on days after those it learned from; bold is the best on the test days">
      {verdict && <Typography sx={{ mb: 1.5 }}>{verdict}</Typography>}
      {model.notes.map((note) => (
        <Typography key={note} role="note" sx={{ mb: 1.5, color: "tone.warm.fg" }}>
          {note}
        </Typography>
      ))}
      {quality.rows.length > 0 && <DataTable caption="How good it is" columns={columns} rows={quality.rows} numeric={quality.columns} />}
      {quality.rest.length > 0 && (
        <Box component="details" sx={{ mt: 1.5, "& summary": { cursor: "pointer", color: "text.secondary", width: "fit-content" } }}>
          <summary>More numbers ({quality.rest.length})</summary>
          <Box sx={{ mt: 1.5 }}>
            <FigureGrid min={210}>
              {quality.rest.map(([name, value]) => (
                <Figure key={name} label={<code>{name}</code>} value={format.precise(value)} />
              ))}
            </FigureGrid>
          </Box>
        </Box>
      )}
    </Panel>
  );
}

function columnsFor(shown: readonly Column[], format: Format): Columns<QualityRow> {
  return [
    { id: "measure", header: "Measure", enableSorting: false, cell: ({ row }) => <MeasureName measure={row.original.measure} /> },
    ...shown.map((column): Columns<QualityRow>[number] => ({
      id: column,
      header: () => <span title={TITLES[column].meaning}>{TITLES[column].label}</span>,
      enableSorting: false,
      cell: ({ row: { original } }) => <Cell row={original} column={column} format={format} />,
    })),
  ];
}

function MeasureName({ measure: { label, meaning, better } }: { measure: Measure }) {
  return (
    <Box sx={{ whiteSpace: "normal", minWidth: { xs: 150, sm: 260 } }}>
      <Box sx={{ fontWeight: 600 }}>{label}</Box>
      <Box sx={{ color: "text.secondary", fontSize: "0.75rem" }}>{[meaning, DIRECTIONS[better]].filter(Boolean).join("; ")}</Box>
    </Box>
  );
}

function Cell({ row: { measure, values, interval, best }, column, format }: { row: QualityRow; column: Column; format: Format }) {
  const say = (value: number | undefined) => {
    if (measure.kind === "plain") return format.precise(value);
    return measure.kind === "days" ? format.number(value) : format.value(value, measure.kind);
  };
  return (
    <>
      <Box component={best === column ? "strong" : "span"} sx={{ fontWeight: best === column ? 700 : 400 }}>
        {say(values[column])}
      </Box>
      {column === "test" && interval && (
        <Box sx={{ color: "text.secondary", fontSize: "0.75rem" }} title="95% sure to lie between">
          {format.range(...interval, say)}
        </Box>
      )}
    </>
  );
}
