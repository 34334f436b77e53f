import Box from "@mui/material/Box";
import Button from "@mui/material/Button";
import Typography from "@mui/material/Typography";
import { useMutation } from "@tanstack/react-query";
import { useState, type ReactNode, type SubmitEvent } from "react";

import { Failure } from "@/components/failure";
import { Panel } from "@/components/panel";
import { FeatureField } from "@/features/what-if/feature-field";
import {
  baseline,
  changesOf,
  foldedBlocks,
  mainFeatures,
  readDraft,
  toDraft,
  type Change,
  type Draft,
} from "@/features/what-if/form-values";
import { predict, type Answer } from "@/features/what-if/predict";
import { Result } from "@/features/what-if/result";
import { ApiError } from "@/lib/api";
import { useApi } from "@/lib/app-context";
import { forecastOf, type DescribedFeature, type Features, type ModelInfo } from "@/lib/api-types";
import { capitalise } from "@/lib/format";

export interface Asked extends Answer {
  changes: Change[];
}

interface WhatIfProps {
  model: ModelInfo;
  /** Whose values the form starts with; the model's medians without one. */
  features?: Features;
  onAnswer: (asked: Asked) => void;
}

/** Change what a user did and ask the model again. Give it a `key` for whom it is about: it starts anew only then. */
export function WhatIf({ model, features, onAnswer }: WhatIfProps) {
  const api = useApi();
  const start = baseline(model, features);
  const startDraft = toDraft(start);
  const [draft, setDraft] = useState<Draft>(startDraft);
  const { record, wrong } = readDraft(model, draft, start);
  const changes = changesOf(start, record);
  const task = useMutation({
    mutationFn: () => predict(api, model.service, record),
    onSuccess: (answer) => onAnswer({ ...answer, changes }),
  });
  const faults = { ...wrong, ...refusedFields(task.error) };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (Object.keys(wrong).length === 0) task.mutate();
  };
  const reset = () => {
    setDraft(startDraft);
    task.reset();
  };
  const field = (feature: DescribedFeature) => (
    <FeatureField
      key={feature.name}
      feature={feature}
      text={draft[feature.name] ?? ""}
      before={startDraft[feature.name] ?? ""}
      wrong={faults[feature.name]}
      onChange={(text) => setDraft((old) => ({ ...old, [feature.name]: text }))}
    />
  );
  const now = features ? forecastOf(features) : null;
  const shown = task.data?.forecast ?? now;
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
      {shown && (
        <Panel title={task.data ? "Forecast for these values" : "Forecast as it stands"}>
          <Box role="status">
            <Result
              forecast={shown}
              before={task.data ? now : null}
              threshold={model.optimal_threshold}
              horizon={model.horizon_days}
            />
          </Box>
        </Panel>
      )}
      {task.isError && <Failure what="The model did not answer" error={task.error} onRetry={() => task.mutate()} />}
      <Panel
        title="What if"
        note={features ? "Starts with this user's values: change some and ask the model" : "Starts with the median of every feature: change some and ask the model"}
      >
        <form onSubmit={submit} noValidate>
          <Box sx={GRID}>{mainFeatures(model).map(field)}</Box>
          {foldedBlocks(model).map((block) => (
            <Fold key={block.name} title={capitalise(block.name)} count={block.features.length} open={block.features.some(({ name }) => name in faults)}>
              <Box sx={GRID}>{block.features.map(field)}</Box>
            </Fold>
          ))}
          <Box sx={ACTIONS}>
            <Button type="submit" variant="contained" size="medium" disabled={task.isPending}>
              {task.isPending ? "Asking the model…" : "Forecast"}
            </Button>
            <Button size="medium" onClick={reset} disabled={changes.length === 0 && Object.keys(wrong).length === 0}>
              Reset
            </Button>
            <Typography variant="body2" color="textSecondary" role="status">
              {changes.length > 0 && `${changes.length} ${changes.length === 1 ? "value" : "values"} changed`}
            </Typography>
          </Box>
        </form>
      </Panel>
    </Box>
  );
}

interface FoldProps {
  title: string;
  count: number;
  /** Opened by us, since a fault is inside. */
  open: boolean;
  children: ReactNode;
}

function Fold({ title, count, open, children }: FoldProps) {
  return (
    <Box component="details" open={open || undefined} sx={{ borderTop: 1, borderColor: "divider" }}>
      <Box component="summary" sx={{ cursor: "pointer", py: 1.25, fontWeight: 600, fontSize: "0.875rem" }}>
        {title}{" "}
        <Box component="span" sx={{ color: "text.secondary", fontWeight: 400 }}>
          {count}
        </Box>
      </Box>
      {children}
    </Box>
  );
}

/** The fields that the gateway itself refused. */
function refusedFields(error: Error | null): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries([
    ...error.unknown.map((name) => [name, "The model does not know this feature"]),
    ...error.missing.map((name) => [name, "The model needs this feature"]),
  ]) as Record<string, string>;
}

const GRID = { display: "grid", columnGap: 1.5, gridTemplateColumns: "repeat(auto-fill, minmax(210px, 1fr))", pb: 1.5 } as const;

/** In sight however many features are unfolded. */
const ACTIONS = {
  position: "sticky",
  bottom: { xs: -12, md: 0 },
  display: "flex",
  alignItems: "center",
  flexWrap: "wrap",
  gap: 1,
  py: 1.5,
  bgcolor: "background.paper",
  borderTop: 1,
  borderColor: "divider",
} as const;
