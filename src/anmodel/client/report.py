"""What became of the events that were sent: counts, reasons by kind, and the first refusals."""

import re
from collections import Counter
from dataclasses import dataclass, field

KEPT_REFUSALS = 10
"""Refusals reported one by one; the rest is summed up by kind."""

_VALUE = re.compile(r"^got .*?; ?|^\d+ bytes; ?", re.DOTALL)


@dataclass(slots=True)
class SendReport:
    """What became of the events. `sent` = accepted + refused + failed once all is done.

    `reasons` counts refusals and failures by kind; `refusals` holds the first ones as (event id or its start, reason);
    `retries` counts repeated requests; `stopped` says why sending ended early, "" if it did not.
    """

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    retries: int = 0
    seconds: float = 0.0
    stopped: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every event was accepted."""
        return not (self.refused or self.failed or self.stopped)

    @property
    def note(self) -> str:
        """Counts for a progress line."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.accepted:,} accepted, {self.refused:,} refused{failed}"

    def summary(self) -> str:
        """What to tell at the end: counts and rate, then reasons, most frequent first."""
        rate = self.accepted / max(self.seconds, 1e-9)
        lines = [
            f"sent {self.sent:,}: {self.note}, {self.seconds:,.1f} s, {rate:,.0f} accepted/s, {self.retries:,} retries"
        ]
        lines += [f"  {count:,} × {kind}" for kind, count in self.reasons.most_common(KEPT_REFUSALS)]
        lines += [f"  {event}: {reason}" for event, reason in self.refusals]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        return "\n".join(lines)

    def refuse(self, event: str, at: str, reason: str) -> None:
        """Count one refusal."""
        self.refused += 1
        self.reasons[f"{at}: {_VALUE.sub('', reason)}"] += 1
        if len(self.refusals) < KEPT_REFUSALS:
            self.refusals.append((event, f"{at}: {reason}"))
