/** Stands alone: nothing of the console could be set up. */
export function StartFailure({ error }: { error: unknown }) {
  return (
    <main role="alert" style={{ fontFamily: "system-ui, sans-serif", maxWidth: 560, margin: "15vh auto", padding: 24 }}>
      <h1>The console could not start</h1>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      <button type="button" onClick={() => location.reload()}>
        Try again
      </button>
    </main>
  );
}
