import { useNavigate, useSearch } from "@tanstack/react-router";

import { ServiceChoice } from "@/features/status/service-choice";

/** The service choice, kept in the address. */
export function CurrentService() {
  const { service } = useSearch({ strict: false });
  const navigate = useNavigate();
  return <ServiceChoice value={service} onChange={(chosen) => void navigate({ to: ".", search: (old) => ({ ...old, service: chosen }) })} />;
}
