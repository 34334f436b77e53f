import FormControl from "@mui/material/FormControl";
import NativeSelect from "@mui/material/NativeSelect";
import OutlinedInput from "@mui/material/OutlinedInput";
import type { SxProps } from "@mui/material/styles";

interface ChoiceProps {
  /** Said to screen readers; sighted readers know it from the choice's own text. */
  label: string;
  value: string;
  options: readonly { value: string; label: string }[];
  onChange: (value: string) => void;
  id?: string;
  sx?: SxProps;
}

/** The browser's own select: light, and the best one on a phone. */
export function Choice({ label, value, options, onChange, id, sx }: ChoiceProps) {
  return (
    <FormControl size="small" sx={sx ?? null}>
      <NativeSelect
        value={value}
        onChange={(event) => onChange(event.target.value)}
        input={<OutlinedInput sx={{ bgcolor: "background.paper" }} />}
        inputProps={{ id, "aria-label": id ? undefined : label }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </NativeSelect>
    </FormControl>
  );
}
