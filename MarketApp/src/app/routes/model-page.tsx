import Box from "@mui/material/Box";
import Skeleton from "@mui/material/Skeleton";

import { CurrentService } from "@/app/current-service";
import { Page } from "@/app/page";
import { useService } from "@/app/use-service";
import { Failure } from "@/components/failure";
import { ModelCard } from "@/features/model/model-card";
import { ModelHealth } from "@/features/model/model-health";
import { useModelInfo } from "@/lib/model-info";

export function ModelPage() {
  const service = useService();
  const model = useModelInfo(service);
  return (
    <Page title="Model" intro="The model in use, how good it is, and what it looks at.">
      {/* The header of a phone has no room for it. */}
      <Box sx={{ display: { xs: "block", md: "none" }, mb: 2 }}>
        <CurrentService />
      </Box>
      <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <ModelHealth service={service} described={model.data?.described ?? []} />
        {model.isError && <Failure what="The model could not be loaded" error={model.error} onRetry={() => void model.refetch()} />}
        {model.isPending && <Skeleton variant="rounded" height={420} />}
        {model.data && <ModelCard model={model.data} />}
      </Box>
    </Page>
  );
}
