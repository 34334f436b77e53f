import { queryOptions } from "@tanstack/react-query";

import { toApiError, unwrap, type Api } from "@/lib/api";
import type { Readiness } from "@/lib/api-types";

const EVERY_MS = 30_000;

/** What the gateway misses. It says so with a 503 that has a body, which is an answer, not a failure. */
export const readinessQuery = (api: Api) =>
  queryOptions({
    queryKey: ["ready"],
    queryFn: async ({ signal }): Promise<Readiness> => {
      const { data, error, response } = await api.GET("/ready", { signal });
      if (data) return data;
      const refusal: unknown = error;
      if (isReadiness(refusal)) return refusal;
      throw toApiError(refusal, response.status);
    },
    refetchInterval: EVERY_MS,
    retry: false,
  });

export const servicesQuery = (api: Api) =>
  queryOptions({
    queryKey: ["services"],
    queryFn: ({ signal }) => unwrap(api.GET("/services", { signal })),
    refetchInterval: EVERY_MS,
  });

function isReadiness(body: unknown): body is Readiness {
  return typeof body === "object" && body !== null && "missing" in body && "status" in body;
}
