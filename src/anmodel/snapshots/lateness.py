"""Whether a snapshot still says what the lake does.

Events of a day that is over may come late; the day is then exported anew, and snapshots of before do not know them.
"""

from datetime import datetime

from anmodel.lake import Lake


def late_events(lake: Lake, instant: datetime, past_events: str, again: str) -> str | None:
    """What to say if events of the days before a snapshot's instant are others now than when it was built; else None.

    `past_events` is what its manifest says of them; of an older one, without it, nothing can be told. `again` is the
    command that builds it anew.
    """
    if not past_events or lake.events_manifest().fingerprint_before(instant) == past_events:
        return None
    return (
        f"Events from before {instant:%Y-%m-%d} came late: the snapshot as of {instant.isoformat()} does not know "
        f"them. Run {again}"
    )
