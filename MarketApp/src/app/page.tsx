import Box from "@mui/material/Box";
import Typography from "@mui/material/Typography";
import type { ReactNode } from "react";

interface PageProps {
  title: string;
  intro: string;
  children: ReactNode;
}

/** A page of one column. */
export function Page({ title, intro, children }: PageProps) {
  return (
    <Box sx={{ width: 1, maxWidth: 1120, mx: "auto" }}>
      <Typography variant="h1">{title}</Typography>
      <Typography color="textSecondary" sx={{ mb: 2 }}>
        {intro}
      </Typography>
      {children}
    </Box>
  );
}
