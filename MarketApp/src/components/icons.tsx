import SvgIcon, { type SvgIconProps } from "@mui/material/SvgIcon";

/** Line icons on a 24-unit grid, coloured like the text around them. */
function line(path: string) {
  return function Icon(props: SvgIconProps) {
    return (
      <SvgIcon fontSize="small" aria-hidden {...props}>
        <path d={path} fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
      </SvgIcon>
    );
  };
}

export const RefreshIcon = line("M20 11a8 8 0 1 0-2.3 6.6M20 5v6h-6");
export const SearchIcon = line("M16 16l5 5M18 11a7 7 0 1 1-14 0 7 7 0 0 1 14 0");
export const DownloadIcon = line("M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14");
export const BackIcon = line("M19 12H5M11 6l-6 6 6 6");
export const UpIcon = line("M12 19V5M6 11l6-6 6 6");
export const DownIcon = line("M12 5v14M6 13l6 6 6-6");
export const CopyIcon = line("M9 9h11v11H9zM5 15H4V4h11v1");
export const CloseIcon = line("M6 6l12 12M18 6 6 18");
export const SunIcon = line("M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5");
export const MoonIcon = line("M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5");
export const SystemIcon = line("M4 5h16v11H4zM9 20h6M12 16v4");
