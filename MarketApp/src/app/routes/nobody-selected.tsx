import Paper from "@mui/material/Paper";

import { Empty } from "@/components/empty";

export function NobodySelected() {
  return (
    <Paper sx={{ height: 1, display: "grid", placeItems: "center" }}>
      <Empty title="Choose a shopper">Their forecast opens here: the chance to buy, when, for how much, and why.</Empty>
    </Paper>
  );
}
