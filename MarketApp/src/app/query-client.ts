import { QueryClient } from "@tanstack/react-query";

import { ApiError } from "@/lib/api";

const TRIES_AGAIN = 2;

/** Only what may pass is asked again: a refused request stays refused. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: (failures, error) => failures < TRIES_AGAIN && error instanceof ApiError && error.passing,
        refetchOnWindowFocus: false,
      },
    },
  });
}
