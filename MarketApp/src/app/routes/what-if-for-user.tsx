import Skeleton from "@mui/material/Skeleton";

import { useService } from "@/app/use-service";
import { Failure } from "@/components/failure";
import { useHistoryStore } from "@/features/history/use-history";
import { WhatIf, type Asked } from "@/features/what-if/what-if";
import type { Features } from "@/lib/api-types";
import { useModelInfo } from "@/lib/model-info";

interface WhatIfForUserProps {
  /** Null starts from the medians. */
  userId: string | null;
  features?: Features;
}

/** Joins the form with the history: what the model answers is kept there. */
export function WhatIfForUser({ userId, features }: WhatIfForUserProps) {
  const service = useService();
  const model = useModelInfo(service);
  const history = useHistoryStore();
  const keep = ({ forecast, modelVersion, changes }: Asked) =>
    history.add({ ...forecast, service, modelVersion, userId, changes });
  if (model.isError) {
    return <Failure what="The model's features could not be loaded" error={model.error} onRetry={() => void model.refetch()} />;
  }
  if (model.isPending) return <Skeleton variant="rounded" height={420} />;
  return <WhatIf key={`${service} ${model.data.version}`} model={model.data} features={features} onAnswer={keep} />;
}
