import Box from "@mui/material/Box";
import Button from "@mui/material/Button";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";

import { Empty } from "@/components/empty";
import { Failure } from "@/components/failure";
import { firstUsersQuery, PAGE_SIZE, usersQuery } from "@/features/users/get-users";
import { useRowFocus } from "@/features/users/use-row-focus";
import { ROW_HEIGHT, UserRow } from "@/features/users/user-row";
import { hasFilter, type UsersSearch } from "@/features/users/users-search";
import { useApi } from "@/lib/app-context";

interface UserListProps {
  search: UsersSearch;
  onClearFilters: () => void;
}

/**
 * All users that fit, behind one scrollbar: only the rows in view exist, and only their pages are asked for.
 * Up, Down, Home and End move between rows; Enter opens one.
 */
export function UserList({ search, onClearFilters }: UserListProps) {
  const api = useApi();
  const scroller = useRef<HTMLDivElement>(null);
  const first = useQuery(firstUsersQuery(api, search));
  const total = first.data?.total ?? 0;
  // The virtualiser hands out fresh functions; memoised callers would miss them.
  // eslint-disable-next-line react-hooks/incompatible-library
  const rows = useVirtualizer({
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 6,
  });
  const visible = rows.getVirtualItems();
  const wanted = [...new Set(visible.map((row) => Math.floor(row.index / PAGE_SIZE)))].filter((page) => page > 0);
  const later = useQueries({ queries: wanted.map((page) => usersQuery(api, search, page)) });
  const pages = new Map(wanted.map((page, index) => [page, later[index]?.data?.users]));
  const failed = later.find((query) => query.isError);
  const userAt = (index: number) =>
    (index < PAGE_SIZE ? first.data?.users : pages.get(Math.floor(index / PAGE_SIZE)))?.[index % PAGE_SIZE];

  const focus = useRowFocus(scroller, total, rows.scrollToIndex);

  const question = JSON.stringify(search);
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
  }, [question]);

  if (first.isError) {
    return (
      <Box sx={{ p: 2 }}>
        <Failure what="The users could not be loaded" error={first.error} onRetry={() => void first.refetch()} />
      </Box>
    );
  }
  if (first.isPending) return <Loading />;
  if (total === 0) return <NoUsers filtered={hasFilter(search)} onClearFilters={onClearFilters} />;
  return (
    <>
      {failed && (
        <Box sx={{ p: 1 }}>
          <Failure what="Some users could not be loaded" error={failed.error} onRetry={() => void failed.refetch()} />
        </Box>
      )}
      <Box
        ref={scroller}
        {...focus}
        aria-busy={first.isFetching}
        sx={{ flex: 1, overflowY: "auto", minHeight: 0, opacity: first.isPlaceholderData ? 0.6 : 1 }}
      >
        <Box
          component="ul"
          aria-label="Users"
          style={{ height: rows.getTotalSize() }}
          sx={{ m: 0, p: 0, listStyle: "none", position: "relative" }}
        >
          {visible.map((row) => (
            <li
              key={row.key}
              aria-posinset={row.index + 1}
              aria-setsize={total}
              style={{ position: "absolute", insetInline: 0, height: ROW_HEIGHT, transform: `translateY(${row.start}px)` }}
            >
              <UserRow user={userAt(row.index)} index={row.index} />
            </li>
          ))}
        </Box>
      </Box>
    </>
  );
}

function Loading() {
  return (
    <Box role="status" aria-label="Loading users">
      {Array.from({ length: 8 }, (_, index) => (
        <Box key={index} sx={{ height: ROW_HEIGHT }}>
          <UserRow user={undefined} index={index} />
        </Box>
      ))}
    </Box>
  );
}

function NoUsers({ filtered, onClearFilters }: { filtered: boolean; onClearFilters: () => void }) {
  if (!filtered) {
    return (
      <Empty title="No users yet">
        Send events to the collector or run <code>anmodel generator</code>, then <code>anmodel forecast</code>.
      </Empty>
    );
  }
  return (
    <Empty title="No user fits">
      <p>Nobody fits this search and these filters.</p>
      <Button variant="outlined" onClick={onClearFilters}>
        Clear filters
      </Button>
    </Empty>
  );
}
