import { useRouter, type ErrorComponentProps } from "@tanstack/react-router";

import { Failure } from "@/components/failure";

/** A page broke: the frame around it stays, and so does the way out. */
export function RouteFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const retry = () => {
    reset();
    void router.invalidate();
  };
  return <Failure what="This page broke" error={error} onRetry={retry} />;
}
