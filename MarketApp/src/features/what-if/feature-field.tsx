import Box from "@mui/material/Box";
import NativeSelect from "@mui/material/NativeSelect";
import OutlinedInput from "@mui/material/OutlinedInput";
import { useId } from "react";

import type { DescribedFeature } from "@/lib/api-types";
import { isScale, labelOf } from "@/lib/format";

interface FeatureFieldProps {
  feature: DescribedFeature;
  text: string;
  /** What the field held at the start. */
  before: string;
  wrong: string | undefined;
  onChange: (text: string) => void;
}

export function FeatureField({ feature, text, before, wrong, onChange }: FeatureFieldProps) {
  const id = useId();
  const changed = text.trim() !== before;
  const note = wrong ?? (changed ? `was ${before || "unknown"}` : isScale(feature.unit) ? feature.meaning : feature.unit);
  const inputProps = { id, "aria-describedby": `${id}-note`, "aria-invalid": Boolean(wrong) };
  return (
    // Label, field and note share the rows of their neighbours, however many lines each has.
    <Box sx={{ minWidth: 0, display: "grid", gridRow: "span 3", gridTemplateRows: "subgrid", rowGap: 0.375 }}>
      <Box component="label" htmlFor={id} title={feature.name} sx={{ alignSelf: "end", fontSize: "0.8125rem", lineHeight: 1.35 }}>
        {labelOf(feature)}
      </Box>
      {feature.type === "category" && feature.categories ? (
        <NativeSelect
          fullWidth
          value={text}
          onChange={(event) => onChange(event.target.value)}
          input={<OutlinedInput />}
          inputProps={inputProps}
        >
          {[...new Set([...feature.categories, before, ""])].map((category) => (
            <option key={category} value={category}>
              {category || "unknown"}
            </option>
          ))}
        </NativeSelect>
      ) : (
        <OutlinedInput
          fullWidth
          value={text}
          error={Boolean(wrong)}
          onChange={(event) => onChange(event.target.value)}
          inputProps={{ ...inputProps, inputMode: feature.type === "number" ? "decimal" : "text", autoComplete: "off" }}
        />
      )}
      <Box
        id={`${id}-note`}
        sx={{ fontSize: "0.75rem", minHeight: 18, pb: 1.25, color: wrong ? "error.main" : changed ? "primary.main" : "text.secondary" }}
      >
        {note}
      </Box>
    </Box>
  );
}
