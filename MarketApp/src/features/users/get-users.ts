import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { defaultOrder, type UsersSearch } from "@/features/users/users-search";
import { unwrap, type Api } from "@/lib/api";

export const PAGE_SIZE = 100;

/** One page of the users that fit `search`, in its order; searched, filtered and sorted by the gateway. */
export const usersQuery = (api: Api, search: UsersSearch, page: number, size = PAGE_SIZE) =>
  queryOptions({
    queryKey: ["users", search, size, page],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/users", { params: { query: { ...toQuery(search), limit: size, offset: page * size } }, signal })),
    staleTime: 30_000,
  });

/** The first page also tells the total, so the last one stays on screen until the next is here. */
export const firstUsersQuery = (api: Api, search: UsersSearch) =>
  queryOptions({ ...usersQuery(api, search, 0), placeholderData: keepPreviousData });

export const segmentsQuery = (api: Api) =>
  queryOptions({
    queryKey: ["segments"],
    queryFn: ({ signal }) => unwrap(api.GET("/segments", { signal })),
    staleTime: 30_000,
  });

function toQuery({ q, segment, region, sort = "purchase_proba", order, min, max }: UsersSearch) {
  return {
    sort,
    order: order ?? defaultOrder(sort),
    ...(q && { search: q }),
    ...(segment && { segment }),
    ...(region && { region }),
    ...(min && { min_proba: min }),
    ...(max !== undefined && { max_proba: max }),
  };
}
