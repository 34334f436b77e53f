import { queryOptions } from "@tanstack/react-query";

import { unwrap, type Api } from "@/lib/api";
import type { UserDetail } from "@/lib/api-types";

export const userQuery = (api: Api, userId: string) =>
  queryOptions({
    queryKey: ["user", userId],
    queryFn: ({ signal }) =>
      // The client's types forget that an interval is a pair.
      unwrap(api.GET("/users/{user_id}", { params: { path: { user_id: userId } }, signal })) as Promise<UserDetail>,
    staleTime: 30_000,
  });
