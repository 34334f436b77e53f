import { createContext, useContext } from "react";

import type { RuntimeConfig } from "@/config/runtime-config";
import type { Api } from "@/lib/api";
import type { Format } from "@/lib/format";

/** What every part of the console is given instead of making it itself. */
export interface AppServices {
  config: RuntimeConfig;
  api: Api;
  format: Format;
}

export const AppContext = createContext<AppServices | null>(null);

function useServices(): AppServices {
  const services = useContext(AppContext);
  if (!services) throw new Error("rendered outside of AppContext");
  return services;
}

export const useApi = (): Api => useServices().api;
export const useFormat = (): Format => useServices().format;
export const useConfig = (): RuntimeConfig => useServices().config;
