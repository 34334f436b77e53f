import CssBaseline from "@mui/material/CssBaseline";
import { ThemeProvider } from "@mui/material/styles";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useState } from "react";

import { createQueryClient } from "@/app/query-client";
import { createAppRouter } from "@/app/router";
import { theme } from "@/app/theme";
import type { RuntimeConfig } from "@/config/runtime-config";
import { createHistoryStore } from "@/features/history/history-store";
import { HistoryContext } from "@/features/history/use-history";
import { createApi } from "@/lib/api";
import { AppContext } from "@/lib/app-context";
import { createFormat } from "@/lib/format";

/** Makes everything once, from the configuration, and hands it down. */
function createServices(config: RuntimeConfig) {
  return {
    client: createQueryClient(),
    router: createAppRouter(),
    history: createHistoryStore(localStorage),
    services: { config, api: createApi(config.apiBase), format: createFormat(config.locale, config.currency) },
  };
}

export function App({ config }: { config: RuntimeConfig }) {
  const [{ client, router, history, services }] = useState(() => createServices(config));
  return (
    <ThemeProvider theme={theme} defaultMode="system">
      <CssBaseline enableColorScheme />
      <AppContext value={services}>
        <HistoryContext value={history}>
          <QueryClientProvider client={client}>
            <RouterProvider router={router} />
          </QueryClientProvider>
        </HistoryContext>
      </AppContext>
    </ThemeProvider>
  );
}
