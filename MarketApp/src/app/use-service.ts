import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";

import { servicesQuery } from "@/features/status/get-status";
import { useApi } from "@/lib/app-context";

const DEFAULT_SERVICE = "context_aware";

/** The service in the address, else the gateway's first. */
export function useService(): string {
  const { service } = useSearch({ strict: false });
  const { data } = useQuery(servicesQuery(useApi()));
  return service ?? data?.services[0] ?? DEFAULT_SERVICE;
}
