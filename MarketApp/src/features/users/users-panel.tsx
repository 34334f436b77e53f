import Box from "@mui/material/Box";
import Button from "@mui/material/Button";
import Paper from "@mui/material/Paper";
import Typography from "@mui/material/Typography";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Failure } from "@/components/failure";
import { DownloadIcon } from "@/components/icons";
import { EXPORT_LIMIT, exportUsers } from "@/features/users/export-users";
import { firstUsersQuery, segmentsQuery } from "@/features/users/get-users";
import { UserFilters } from "@/features/users/user-filters";
import { UserList } from "@/features/users/user-list";
import type { UsersSearch } from "@/features/users/users-search";
import { useApi, useFormat } from "@/lib/app-context";
import { download } from "@/lib/csv";

interface UsersPanelProps {
  search: UsersSearch;
  onChange: (patch: UsersSearch) => void;
  onClearFilters: () => void;
}

/** Finding users: search, filters, how many fit, the list, and the list as a file. */
export function UsersPanel({ search, onChange, onClearFilters }: UsersPanelProps) {
  const format = useFormat();
  const api = useApi();
  const { data } = useQuery(firstUsersQuery(api, search));
  const regions = useQuery(segmentsQuery(api)).data?.regions ?? [];
  const forecasts = data?.mode !== "fallback";
  return (
    <Paper component="section" aria-label="Users" sx={{ display: "flex", flexDirection: "column", minHeight: 0, height: 1, overflow: "hidden" }}>
      <Box sx={{ p: 2, pb: 1, borderBottom: 1, borderColor: "divider" }}>
        <UserFilters search={search} forecasts={forecasts} regions={regions} onChange={onChange} />
        <Box sx={{ display: "flex", alignItems: "center", justifyContent: "space-between", mt: 1, minHeight: 30 }}>
          <Typography variant="body2" color="textSecondary" role="status">
            {data && `${format.whole(data.total)} ${data.total === 1 ? "user" : "users"}`}
            {data?.snapshot_date && ` · as of ${format.day(data.snapshot_date)}`}
          </Typography>
          <ExportButton search={search} total={data?.total ?? 0} />
        </Box>
      </Box>
      <UserList search={search} onClearFilters={onClearFilters} />
    </Paper>
  );
}

function ExportButton({ search, total }: { search: UsersSearch; total: number }) {
  const api = useApi();
  const client = useQueryClient();
  const format = useFormat();
  const [done, setDone] = useState(0);
  const task = useMutation({
    mutationFn: () => exportUsers(client, api, search, setDone),
    onSuccess: (text) => download("users.csv", text),
  });
  const capped = total > EXPORT_LIMIT;
  return (
    <>
      <Button
        startIcon={<DownloadIcon />}
        disabled={total === 0 || task.isPending}
        onClick={() => task.mutate()}
        title={capped ? `The first ${format.whole(EXPORT_LIMIT)} users of this list` : "The users of this list"}
      >
        {task.isPending ? `${format.whole(done)} of ${format.whole(Math.min(total, EXPORT_LIMIT))}` : "CSV"}
      </Button>
      {task.isError && (
        <Box sx={{ position: "fixed", right: 16, bottom: 16, zIndex: 10 }}>
          <Failure what="The file could not be made" error={task.error} onRetry={() => task.mutate()} />
        </Box>
      )}
    </>
  );
}
