import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";
import type { ReactNode } from "react";

interface EmptyProps {
  title: string;
  children?: ReactNode;
}

/** Says that there is nothing here, and what to do about it. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <Box sx={{ display: "grid", placeContent: "center", justifyItems: "center", gap: 1, p: 4, textAlign: "center", minHeight: 180 }}>
      <Typography variant="h2" component="p">
        {title}
      </Typography>
      <Box sx={{ color: "text.secondary", maxWidth: 420 }}>{children}</Box>
    </Box>
  );
}
