"""What the generator can be told; defaults are the original's."""

from dataclasses import dataclass
from datetime import datetime

from anmodel.errors import InputError


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of `anmodel generator` that shape the events. `snapshot_date` (aware) is "now" for the shoppers."""

    snapshot_date: datetime
    seed: int = 42
    events_per_user: float = 200
    total_events: int | None = None
    activity_sigma: float = 0.7
    min_span_days: int = 14
    max_span_days: int = 365
    max_session_gap_days: int = 5
    snapshot_horizon_days: int = 7
    promo_share: float = 0.2
    promo_window_days: int = 10
    promo_purchase_boost: float = 2.5
    promo_max_session_gap_days: int = 1
    burst_share: float = 0.25
    burst_force_purchase_prob: float = 0.8

    def __post_init__(self) -> None:
        for name in ("promo_share", "burst_share", "burst_force_purchase_prob"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")
        for name in ("min_span_days", "max_span_days", "max_session_gap_days", "promo_window_days"):
            self._check(name, 1 <= getattr(self, name) <= 1800, "1 to 1800 days")
        self._check("max_span_days", self.max_span_days >= self.min_span_days, "--min-span-days or more")
        self._check(
            "snapshot_horizon_days", 1 <= self.snapshot_horizon_days <= self.max_span_days, "1 to --max-span-days"
        )
        self._check("promo_max_session_gap_days", self.promo_max_session_gap_days >= 0, "0 or more days")
        self._check("events_per_user", 1 <= self.events_per_user <= 1_000_000, "1 to 1,000,000")
        self._check("activity_sigma", 0 <= self.activity_sigma <= 3, "0 to 3")
        self._check("promo_purchase_boost", 0 <= self.promo_purchase_boost <= 100, "0 to 100")

    def _check(self, name: str, fine: bool, allowed: str) -> None:
        if not fine:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}; allowed: {allowed}")
