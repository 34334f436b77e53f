import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Navigate } from "@tanstack/react-router";

import { NotFound } from "@/app/routes/not-found";
import { RouteFailure } from "@/app/routes/route-failure";
import { UsersPage } from "@/app/routes/users-page";
import { Shell } from "@/app/shell";
import { parseUsersSearch } from "@/features/users/users-search";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
  validateSearch: (given: Record<string, unknown>): { service?: string } =>
    typeof given.service === "string" && given.service ? { service: given.service } : {},
});

// The list stays on screen beside whoever is open, so both addresses share one layout.
const users = createRoute({ getParentRoute: () => root, id: "shoppers", component: UsersPage, validateSearch: parseUsersSearch });

const nobody = createRoute({
  getParentRoute: () => users,
  path: "/",
  component: lazyRouteComponent(() => import("@/app/routes/nobody-selected"), "NobodySelected"),
});

const user = createRoute({
  getParentRoute: () => users,
  path: "/users/$userId",
  component: lazyRouteComponent(() => import("@/app/routes/user-page"), "UserPage"),
  validateSearch: (given: Record<string, unknown>): { view?: "what-if" } => (given.view === "what-if" ? { view: "what-if" } : {}),
});

const usersAlias = createRoute({ getParentRoute: () => root, path: "/users", component: () => <Navigate to="/" replace /> });

const whatIf = createRoute({
  getParentRoute: () => root,
  path: "/what-if",
  component: lazyRouteComponent(() => import("@/app/routes/what-if-page"), "WhatIfPage"),
});

const history = createRoute({
  getParentRoute: () => root,
  path: "/history",
  component: lazyRouteComponent(() => import("@/app/routes/history-page"), "HistoryPage"),
});

const model = createRoute({
  getParentRoute: () => root,
  path: "/model",
  component: lazyRouteComponent(() => import("@/app/routes/model-page"), "ModelPage"),
});

export function createAppRouter() {
  return createRouter({
    routeTree: root.addChildren([users.addChildren([nobody, user]), usersAlias, whatIf, history, model]),
    defaultPreload: "intent",
    defaultErrorComponent: RouteFailure,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
