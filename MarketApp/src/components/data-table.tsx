import Box from "@mui/material/Box";
import {
  createSortedRowModel,
  rowSortingFeature,
  sortFn_alphanumeric,
  sortFn_basic,
  tableFeatures,
  useTable,
  type ColumnDef,
  type RowData,
} from "@tanstack/react-table";

import { DownIcon, UpIcon } from "@/components/icons";

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic },
});

export type Columns<Row extends RowData> = ColumnDef<typeof features, Row>[];

interface DataTableProps<Row extends RowData> {
  /** Said to screen readers. */
  caption: string;
  /** The same array between renders, or every render sorts anew. */
  columns: Columns<Row>;
  rows: Row[];
  /** Columns whose numbers stand at the right. */
  numeric?: readonly string[];
}

const SORT_NAMES = { asc: "ascending", desc: "descending" } as const;

/** A table of what is already here, sorted in the browser by a click on a column's name. */
export function DataTable<Row extends RowData>({ caption, columns, rows, numeric = [] }: DataTableProps<Row>) {
  const table = useTable({ features, columns, data: rows });
  const align = (column: string) => (numeric.includes(column) ? "right" : "left");
  return (
    <Box tabIndex={0} role="group" aria-label={caption} sx={{ overflowX: "auto", mx: -1 }}>
      <Box component="table" aria-label={caption} sx={TABLE_STYLE}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    scope="col"
                    style={{ textAlign: align(header.column.id) }}
                    aria-sort={sorted ? SORT_NAMES[sorted] : undefined}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()}>
                        <table.FlexRender header={header} />
                        {sorted && (sorted === "asc" ? <UpIcon /> : <DownIcon />)}
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id}>
              {row.getAllCells().map((cell) => (
                <td key={cell.id} style={{ textAlign: align(cell.column.id) }}>
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </Box>
    </Box>
  );
}

const TABLE_STYLE = {
  width: 1,
  borderCollapse: "collapse",
  fontSize: "0.8125rem",
  "& th, & td": { px: 1, py: 0.875, borderBottom: 1, borderColor: "divider", whiteSpace: "nowrap" },
  "& th": { color: "text.secondary", fontWeight: 500 },
  "& th button": {
    all: "unset",
    cursor: "pointer",
    display: "inline-flex",
    alignItems: "center",
    gap: 0.5,
    "&:hover": { color: "text.primary" },
    "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main" },
    "& svg": { fontSize: 14 },
  },
  "& tbody tr:last-child td": { borderBottom: 0 },
} as const;
