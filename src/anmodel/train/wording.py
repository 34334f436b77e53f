"""Figures as a reader sees them; what is not known is a dash."""

import math

NONE = "–"


def number(value: float, digits: int = 4) -> str:
    """1,234.5678"""
    return f"{value:,.{digits}f}" if math.isfinite(value) else NONE


def signed(value: float, digits: int = 4) -> str:
    """+0.0123 or −0.0123"""
    return f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", "−") if math.isfinite(value) else NONE


def share(value: float, digits: int = 1) -> str:
    """12.3 %"""
    return f"{value:.{digits}%}".replace("%", " %") if math.isfinite(value) else NONE


def interval(low: float, high: float, digits: int = 4) -> str:
    """(0.7012 to 0.7345), nothing when it is not known"""
    known = math.isfinite(low) and math.isfinite(high)
    return f"({low:,.{digits}f} to {high:,.{digits}f})".replace("-", "−") if known else ""
