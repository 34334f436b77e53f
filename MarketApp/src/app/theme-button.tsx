import IconButton from "@mui/material/IconButton";
import { useColorScheme } from "@mui/material/styles";

import { MoonIcon, SunIcon, SystemIcon } from "@/components/icons";

const NEXT = { system: "light", light: "dark", dark: "system" } as const;
const ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };

/** Light, dark, or as the system has it; remembered in this browser. */
export function ThemeButton() {
  const { mode = "system", setMode } = useColorScheme();
  const Icon = ICONS[mode];
  const label = `Colours: ${mode}; change to ${NEXT[mode]}`;
  return (
    <IconButton aria-label={label} title={label} onClick={() => setMode(NEXT[mode])}>
      <Icon />
    </IconButton>
  );
}
