import { createTheme } from "@mui/material/styles";

interface Tone {
  fg: string;
  bg: string;
}
type Tones = Record<"hot" | "warm" | "cold" | "ignore" | "up" | "down", Tone>;

declare module "@mui/material/styles" {
  interface Palette {
    tone: Tones;
  }
  interface PaletteOptions {
    tone?: Tones;
  }
}

// Every pair of fg on bg, and of fg on paper, has a contrast of at least 4.5.
const light: Tones = {
  hot: { fg: "#a8261d", bg: "#fde7e4" },
  warm: { fg: "#855000", bg: "#fcf0d6" },
  cold: { fg: "#1d5b9e", bg: "#e4effa" },
  ignore: { fg: "#565f6b", bg: "#eceef1" },
  up: { fg: "#17693f", bg: "#e0f3e8" },
  down: { fg: "#a8261d", bg: "#fde7e4" },
};
const dark: Tones = {
  hot: { fg: "#ffa399", bg: "#4a2020" },
  warm: { fg: "#f3c66d", bg: "#41330f" },
  cold: { fg: "#93c6ff", bg: "#17314f" },
  ignore: { fg: "#b6c0cb", bg: "#2a323c" },
  up: { fg: "#7fd6a6", bg: "#12382a" },
  down: { fg: "#ffa399", bg: "#4a2020" },
};

export const theme = createTheme({
  cssVariables: { colorSchemeSelector: "data-theme" },
  colorSchemes: {
    light: {
      palette: {
        primary: { main: "#3a46c4" },
        background: { default: "#f5f6f8", paper: "#ffffff" },
        text: { primary: "#161c26", secondary: "#55606e" },
        divider: "#e1e5ea",
        tone: light,
      },
    },
    dark: {
      palette: {
        primary: { main: "#a3acff" },
        background: { default: "#0f1319", paper: "#171c24" },
        text: { primary: "#e9edf2", secondary: "#9ba7b5" },
        divider: "#2a313b",
        action: { selected: "rgba(255, 255, 255, 0.08)" },
        tone: dark,
      },
    },
  },
  shape: { borderRadius: 10 },
  typography: {
    fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', sans-serif",
    fontSize: 14,
    h1: { fontSize: "1.25rem", fontWeight: 650, letterSpacing: "-0.01em" },
    h2: { fontSize: "1rem", fontWeight: 650 },
    h3: { fontSize: "0.875rem", fontWeight: 600 },
    body1: { fontSize: "0.875rem" },
    body2: { fontSize: "0.8125rem" },
    caption: { fontSize: "0.75rem", lineHeight: 1.4 },
    button: { textTransform: "none", fontWeight: 600 },
  },
  components: {
    MuiCssBaseline: {
      styleOverrides: {
        "html, body, #root": { height: "100%" },
        body: { fontVariantNumeric: "tabular-nums" },
        ":focus-visible": { outline: "2px solid var(--mui-palette-primary-main)", outlineOffset: 2 },
        "@media (prefers-reduced-motion: reduce)": {
          "*, *::before, *::after": { animationDuration: "0.01ms !important", transitionDuration: "0.01ms !important" },
        },
      },
    },
    MuiButton: { defaultProps: { disableElevation: true, size: "small" } },
    MuiButtonBase: { defaultProps: { disableRipple: true } },
    MuiPaper: { defaultProps: { variant: "outlined" } },
    MuiOutlinedInput: { defaultProps: { size: "small" }, styleOverrides: { root: { fontSize: "0.875rem" } } },
    MuiSkeleton: { defaultProps: { animation: "wave" } },
  },
});
