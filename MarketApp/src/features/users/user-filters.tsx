import Box from "@mui/material/Box";
import IconButton from "@mui/material/IconButton";
import InputAdornment from "@mui/material/InputAdornment";
import OutlinedInput from "@mui/material/OutlinedInput";
import { useEffect, useState } from "react";

import { Choice } from "@/components/choice";
import { CloseIcon, DownIcon, SearchIcon, UpIcon } from "@/components/icons";
import { defaultOrder, SORTS, type Sort, type UsersSearch } from "@/features/users/users-search";
import { isSegment, SEGMENT_ORDER, SEGMENTS } from "@/lib/segments";
import { useDebounced } from "@/lib/use-debounced";

interface UserFiltersProps {
  search: UsersSearch;
  /** Without forecasts there is nothing to sort or filter by but the id and the region. */
  forecasts: boolean;
  /** Those there are; without any there is no such filter. */
  regions: readonly string[];
  onChange: (patch: UsersSearch) => void;
}

const CHANCES = [
  { value: "0", label: "Any chance" },
  { value: "0.25", label: "25% and more" },
  { value: "0.5", label: "50% and more" },
  { value: "0.75", label: "75% and more" },
  { value: "0.9", label: "90% and more" },
];

export function UserFilters({ search, forecasts, regions, onChange }: UserFiltersProps) {
  const sort = search.sort ?? "purchase_proba";
  const order = search.order ?? defaultOrder(sort);
  const segments = [{ value: "", label: "All segments" }, ...SEGMENT_ORDER.map((value) => ({ value, label: SEGMENTS[value].label }))];
  const known = search.region && !regions.includes(search.region) ? [...regions, search.region] : regions;
  return (
    <Box role="search" aria-label="Find users" sx={{ display: "grid", gap: 1 }}>
      <SearchField value={search.q ?? ""} onChange={(q) => onChange({ q: q || undefined })} />
      <Box sx={{ display: "grid", gap: 1, gridTemplateColumns: forecasts ? "1fr 1fr" : "1fr" }}>
        {forecasts && (
          <Choice
            label="Segment"
            value={search.segment ?? ""}
            options={segments}
            onChange={(value) => onChange({ segment: isSegment(value) ? value : undefined })}
          />
        )}
        {known.length > 0 && (
          <Choice
            label="Region"
            value={search.region ?? ""}
            options={[{ value: "", label: "All regions" }, ...known.map((value) => ({ value, label: value }))]}
            onChange={(region) => onChange({ region: region || undefined })}
          />
        )}
        {forecasts && (
          <>
            <Choice
              label="Least chance to buy"
              value={String(search.min ?? 0)}
              options={withOwn(CHANCES, search.min)}
              onChange={(value) => onChange({ min: Number(value) || undefined })}
            />
            <Box sx={{ display: "flex", gap: 0.5, gridColumn: known.length > 0 ? "auto" : "1 / -1" }}>
              <Choice
                label="Sort by"
                value={sort}
                options={SORTS}
                onChange={(value) => onChange({ sort: value as Sort, order: undefined })}
                sx={{ flex: 1, minWidth: 0 }}
              />
              <IconButton
                aria-label={order === "desc" ? "Highest first; change to lowest first" : "Lowest first; change to highest first"}
                title={order === "desc" ? "Highest first" : "Lowest first"}
                onClick={() => onChange({ order: order === "desc" ? "asc" : "desc" })}
              >
                {order === "desc" ? <DownIcon /> : <UpIcon />}
              </IconButton>
            </Box>
          </>
        )}
      </Box>
    </Box>
  );
}

/** An address may name a chance that is none of the choices. */
function withOwn(options: typeof CHANCES, min: number | undefined) {
  if (min === undefined || options.some(({ value }) => Number(value) === min)) return options;
  return [...options, { value: String(min), label: `${Math.round(min * 100)}% and more` }];
}

interface SearchFieldProps {
  value: string;
  onChange: (text: string) => void;
}

/** Types freely and tells `onChange` after a pause, so that not every letter is a request. */
function SearchField({ value, onChange }: SearchFieldProps) {
  const [typed, setTyped] = useState(value);
  const [told, setTold] = useState(value);
  const settled = useDebounced(typed, 250);
  // The address may change without us: back, forward, "clear filters".
  if (value !== told) {
    setTold(value);
    if (value !== typed.trim()) setTyped(value);
  }
  useEffect(() => {
    if (settled === typed && settled.trim() !== value) onChange(settled.trim());
    // Only a pause in typing is news here, not a new `onChange` or an address that changed by itself.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [settled]);
  return (
    <OutlinedInput
      type="search"
      placeholder="Search by user id"
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
      inputProps={{ "aria-label": "Search by user id", autoComplete: "off", spellCheck: false }}
      sx={{ bgcolor: "background.paper", "& input::-webkit-search-cancel-button": { display: "none" } }}
      startAdornment={
        <InputAdornment position="start">
          <SearchIcon />
        </InputAdornment>
      }
      endAdornment={
        typed && (
          <InputAdornment position="end">
            <IconButton size="small" aria-label="Clear search" onClick={() => setTyped("")}>
              <CloseIcon />
            </IconButton>
          </InputAdornment>
        )
      }
    />
  );
}
