import Alert from "@mui/material/Alert";
import Button from "@mui/material/Button";

import { Prose } from "@/components/prose";

interface FailureProps {
  /** What could not be done, as a sentence without its dot. */
  what: string;
  error: unknown;
  onRetry?: () => void;
}

/** Says what failed, in the gateway's words, and offers to try again. */
export function Failure({ what, error, onRetry }: FailureProps) {
  const reason = error instanceof Error ? error.message : String(error);
  return (
    <Alert
      severity="error"
      variant="outlined"
      sx={{ alignItems: "center", bgcolor: "background.paper" }}
      action={
        onRetry && (
          <Button color="inherit" onClick={onRetry}>
            Try again
          </Button>
        )
      }
    >
      <strong>{what}.</strong> <Prose text={reason} />
    </Alert>
  );
}
