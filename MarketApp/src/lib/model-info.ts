import { useQuery } from "@tanstack/react-query";

import { unwrap, type Api } from "@/lib/api";
import { useApi } from "@/lib/app-context";

export const modelInfoQuery = (api: Api, service: string) => ({
  queryKey: ["model-info", service],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    unwrap(api.GET("/model-info/{name}", { params: { path: { name: service } }, signal })),
  staleTime: 60_000,
});

/** What the model says of itself: its features in words, medians, metrics, threshold. */
export function useModelInfo(service: string) {
  return useQuery(modelInfoQuery(useApi(), service));
}
