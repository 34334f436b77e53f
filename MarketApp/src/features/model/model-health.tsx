import Box from "@mui/material/Box";
import Skeleton from "@mui/material/Skeleton";
import Typography from "@mui/material/Typography";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { Failure } from "@/components/failure";
import { Panel } from "@/components/panel";
import { Prose } from "@/components/prose";
import { SmallChart } from "@/components/small-chart";
import { concernsOf, healthQuery, LEVELS, pointsOf, summaryOf, type Concern } from "@/features/model/health";
import type { DescribedFeature, Finding, ModelHealth as Health, PastRun } from "@/lib/api-types";
import { useApi, useFormat } from "@/lib/app-context";
import { capitalise, humanise, labelOf } from "@/lib/format";

const SHOWN = 4;

interface ModelHealthProps {
  service: string;
  /** The model's features in words, as far as they are known. */
  described: readonly DescribedFeature[];
}

/** Whether the model still fits the shop: its alarms with what to do, and how past forecasts came true. */
export function ModelHealth({ service, described }: ModelHealthProps) {
  const health = useQuery(healthQuery(useApi()));
  if (health.isError) return <Failure what="The model's health could not be loaded" error={health.error} onRetry={() => void health.refetch()} />;
  if (health.isPending) return <Skeleton variant="rounded" height={160} />;
  return health.data.service === service ? <Loaded health={health.data} described={described} /> : null;
}

function Loaded({ health, described }: { health: Health; described: readonly DescribedFeature[] }) {
  const format = useFormat();
  const labels = new Map(described.map((feature) => [feature.name, labelOf(feature)]));
  const say = ({ feature, text }: Finding) => (feature ? `${labels.get(feature) ?? humanise(feature)}: ${text}` : capitalise(text));
  const well = health.findings.filter(({ level }) => level === "ok");
  return (
    <Panel
      title="Model health"
      note={health.measured_at ? `Shoppers of today against those it learned from, and past forecasts against what happened; measured ${format.moment(health.measured_at)}` : undefined}
      action={health.level && <LevelChip level={health.level} />}
    >
      {health.reason && (
        <Typography>
          <Prose text={capitalise(health.reason)} />
        </Typography>
      )}
      {health.level && <Typography>{summaryOf(health)}</Typography>}
      {concernsOf(health).map((concern) => (
        <ConcernBlock key={concern.advice} concern={concern} say={say} />
      ))}
      {well.length > 0 && (
        <More summary={`What is well (${health.well})`}>
          {well.map((finding) => (
            <FindingLine key={finding.metric} finding={finding} say={say} />
          ))}
          {health.well > well.length && <li>And {health.well - well.length} measures of single features</li>}
        </More>
      )}
      <PastRuns runs={health.past_runs} />
    </Panel>
  );
}

function ConcernBlock({ concern: { advice, findings }, say }: { concern: Concern; say: (finding: Finding) => string }) {
  const lines = (shown: readonly Finding[]) =>
    shown.map((finding) => <FindingLine key={`${finding.metric} ${finding.feature ?? ""}`} finding={finding} say={say} />);
  const rest = findings.slice(SHOWN);
  return (
    <Box sx={{ mt: 2 }}>
      <Box component="ul" sx={LIST}>
        {lines(findings.slice(0, SHOWN))}
      </Box>
      {rest.length > 0 && <More summary={`${rest.length} more of this kind`}>{lines(rest)}</More>}
      <Typography color="textSecondary" sx={{ mt: 0.75 }}>
        <strong>What to do:</strong> <Prose text={advice} />
      </Typography>
    </Box>
  );
}

function FindingLine({ finding, say }: { finding: Finding; say: (finding: Finding) => string }) {
  return (
    <Box component="li" title={finding.limits ?? undefined} sx={{ display: "flex", gap: 1, alignItems: "flex-start" }}>
      {finding.level !== "ok" && <LevelChip level={finding.level} />}
      <Box component="span" sx={{ overflowWrap: "anywhere", minWidth: 0 }}>
        <Prose text={say(finding)} />
      </Box>
    </Box>
  );
}

function More({ summary, children }: { summary: string; children: ReactNode }) {
  return (
    <Box component="details" sx={{ mt: 1, "& summary": { cursor: "pointer", color: "text.secondary", width: "fit-content" } }}>
      <summary>{summary}</summary>
      <Box component="ul" sx={{ ...LIST, mt: 0.75 }}>
        {children}
      </Box>
    </Box>
  );
}

function PastRuns({ runs }: { runs: readonly PastRun[] }) {
  const format = useFormat();
  const ranking = pointsOf(runs, "roc_auc", format.day);
  const lift = pointsOf(runs, "lift_10", format.day);
  const calibration = pointsOf(runs, "calibration_error", format.day);
  if (calibration.length === 0) return null;
  const worst = Math.min(0.5, ...ranking.map(({ value }) => value));
  return (
    <Box sx={{ mt: 3 }}>
      <Typography variant="h3" sx={{ mb: 1 }}>
        How past forecasts came true
      </Typography>
      <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "1fr", md: "repeat(3, 1fr)" } }}>
        {ranking.length > 0 && <SmallChart title="Ranking (ROC AUC)" points={ranking} domain={[worst, 1]} say={format.precise} sayTick={format.number} />}
        {lift.length > 0 && <SmallChart title="Lift: buyers in the likeliest tenth, against all" points={lift} domain={[0, null]} say={format.times} />}
        <SmallChart title="Calibration error" points={calibration} domain={[0, null]} say={(value) => format.value(value, "share")} />
      </Box>
    </Box>
  );
}

function LevelChip({ level }: { level: Finding["level"] }) {
  const { label, tone } = LEVELS[level];
  return (
    <Box
      component="span"
      sx={{ px: 1, py: 0.125, borderRadius: 99, fontSize: "0.75rem", fontWeight: 600, lineHeight: 1.5, whiteSpace: "nowrap", color: `tone.${tone}.fg`, bgcolor: `tone.${tone}.bg` }}
    >
      {label}
    </Box>
  );
}

const LIST = { m: 0, p: 0, listStyle: "none", display: "grid", gap: 0.75 } as const;
