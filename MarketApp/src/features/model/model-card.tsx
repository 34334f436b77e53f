import Box from "@mui/material/Box";
import { useMemo } from "react";

import { DataTable, type Columns } from "@/components/data-table";
import { Figure, FigureGrid } from "@/components/figure";
import { Meter } from "@/components/meter";
import { Panel } from "@/components/panel";
import { ModelQuality } from "@/features/model/quality";
import { useFormat } from "@/lib/app-context";
import type { DescribedFeature, ModelInfo } from "@/lib/api-types";
import { capitalise, humanise, kindOf, labelOf, type Format } from "@/lib/format";

/** What the model in use is, how good it is, and what it looks at. */
export function ModelCard({ model }: { model: ModelInfo }) {
  const format = useFormat();
  const columns = useMemo(() => columnsFor(model, format), [model, format]);
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Panel title={model.service}>
        <FigureGrid>
          <Figure label="Version" value={model.version} />
          <Figure label="Snapshot version" value={model.snapshot_version.slice(0, 12)} />
          <Figure label="Looks ahead" value={format.days(model.horizon_days)} />
          <Figure label="A purchase is expected from" value={format.chance(model.optimal_threshold)} />
          <Figure label="Features" value={model.features.length} />
        </FigureGrid>
      </Panel>
      <ModelQuality model={model} />
      <Importance model={model} />
      <Panel title="Features" note="What the model knows of a user">
        <DataTable caption="Features" columns={columns} rows={model.described} numeric={["median"]} />
      </Panel>
    </Box>
  );
}

function Importance({ model }: { model: ModelInfo }) {
  const labels = new Map(model.described.map((feature) => [feature.name, labelOf(feature)]));
  const most = Math.max(...model.feature_importance_top10.map(({ importance }) => importance), Number.MIN_VALUE);
  return (
    <Panel title="What it looks at most" note="The ten most important features, beside the first">
      <Box component="ol" sx={{ m: 0, p: 0, listStyle: "none", display: "grid", gap: 1.25 }}>
        {model.feature_importance_top10.map(({ feature, importance }) => (
          <Box component="li" key={feature} title={feature} sx={{ display: "grid", gridTemplateColumns: { xs: "1fr", sm: "minmax(0, 300px) 1fr" }, gap: { xs: 0.5, sm: 2 }, alignItems: "center" }}>
            <span>{labels.get(feature) ?? humanise(feature)}</span>
            <Meter value={importance / most} height={8} />
          </Box>
        ))}
      </Box>
    </Panel>
  );
}

function columnsFor(model: ModelInfo, format: Format): Columns<DescribedFeature> {
  return [
    { id: "name", header: "Name", accessorFn: (feature) => feature.name, cell: ({ row }) => <code>{row.original.name}</code> },
    { id: "meaning", header: "Meaning", accessorFn: (feature) => capitalise(feature.meaning) },
    { id: "block", header: "Block", accessorFn: (feature) => feature.block },
    { id: "unit", header: "Unit", accessorFn: (feature) => feature.unit },
    {
      id: "median",
      header: "Median",
      accessorFn: (feature) => model.feature_medians[feature.name],
      cell: ({ row: { original } }) => format.value(model.feature_medians[original.name], kindOf(original.name, original.unit)),
    },
  ];
}
