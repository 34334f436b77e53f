import Box from "@mui/material/Box";
import Paper from "@mui/material/Paper";
import Typography from "@mui/material/Typography";
import { useId, type ReactNode } from "react";

interface PanelProps {
  title: string;
  /** One line under the title: what the numbers mean. */
  note?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}

/** A titled part of a page, a landmark for screen readers. */
export function Panel({ title, note, action, children }: PanelProps) {
  const id = useId();
  return (
    <Paper component="section" aria-labelledby={id} sx={{ p: { xs: 2, md: 2.5 }, minWidth: 0 }}>
      <Box sx={{ display: "flex", alignItems: "flex-start", justifyContent: "space-between", gap: 1, mb: 1.5 }}>
        <div>
          <Typography id={id} variant="h2">
            {title}
          </Typography>
          {note && (
            <Typography variant="body2" color="textSecondary" sx={{ mt: 0.25 }}>
              {note}
            </Typography>
          )}
        </div>
        {action}
      </Box>
      {children}
    </Paper>
  );
}
