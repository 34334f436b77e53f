import Box from "@mui/material/Box";
import { useQuery } from "@tanstack/react-query";

import { Choice } from "@/components/choice";
import { servicesQuery } from "@/features/status/get-status";
import { useApi } from "@/lib/app-context";
import type { ServiceDetail } from "@/lib/api-types";

interface ServiceChoiceProps {
  /** The service in use; the first one when the address names none. */
  value: string | undefined;
  onChange: (service: string) => void;
}

/** Which model service answers; with a single one there is nothing to choose, so it is only named. */
export function ServiceChoice({ value, onChange }: ServiceChoiceProps) {
  const { data } = useQuery(servicesQuery(useApi()));
  if (!data?.services.length) return null;
  const options = data.services.map((name) => ({ value: name, label: describe(name, data.details[name]) }));
  if (options.length === 1 && (!value || value === options[0]?.value)) {
    return (
      <Box component="span" title="Model service" sx={{ color: "text.secondary", fontSize: "0.8125rem", whiteSpace: "nowrap" }}>
        {options[0]?.label}
      </Box>
    );
  }
  const unknown = value && !data.services.includes(value) ? [{ value, label: `${value} (unknown)` }] : [];
  return <Choice label="Model service" value={value ?? data.services[0] ?? ""} options={[...options, ...unknown]} onChange={onChange} />;
}

function describe(name: string, detail: ServiceDetail | undefined): string {
  if (detail?.status === "loaded") return `${name} · v${detail.version ?? "?"}`;
  return detail ? `${name} · ${detail.status}` : name;
}
