"""`anmodel generator`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from anmodel.errors import InputError
from anmodel.generator.options import Options
from anmodel.settings import GeneratorSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.client import SendOptions
    from anmodel.generator.stream import Crowd

log = structlog.get_logger()


def command(
    url: Annotated[str | None, typer.Option(help="The collector's /collect; default COLLECTOR_URL.")] = None,
    users: Annotated[
        int | None,
        typer.Option(min=1, help="Take this many users, seeding the table if it has fewer; default: all of it."),
    ] = None,
    events_per_user: Annotated[float, typer.Option(help="Mean events of a shopper, over all cohorts.")] = 200,
    total_events: Annotated[
        int | None, typer.Option(help="Exactly this many events in all, instead of --events-per-user.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to FILE.ndjson or FILE.parquet instead of sending.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Events a second at most: a steady stream.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events in a request; 1: each alone, as JSON.")] = 500,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests at once; default 100 for --batch 1, else 4.")
    ] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds of rest after each request.")] = 0.0,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds a request may take; default 3 for --batch 1, else 30.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, users and --snapshot-date: same bytes.")] = 42,
    activity_sigma: Annotated[float, typer.Option(help="Spread of activity among shoppers (lognormal).")] = 0.7,
    min_span_days: Annotated[int, typer.Option(help="Least active time of a shopper, but for one-time ones.")] = 14,
    max_span_days: Annotated[int, typer.Option(help="Most active time of a shopper, and the history's length.")] = 365,
    max_session_gap_days: Annotated[int, typer.Option(help="Most days between visits of one spell of interest.")] = 5,
    snapshot_horizon_days: Annotated[int, typer.Option(help="Shoppers who left did so before these last days.")] = 7,
    snapshot_date: Annotated[
        str, typer.Option(help="When the events end: ISO time or YYYY-MM-DD, UTC; empty: now.")
    ] = "",
    promo_share: Annotated[
        float, typer.Option(help="Share of shoppers drawn by promotions (never one-time ones).")
    ] = 0.2,
    promo_window_days: Annotated[
        int, typer.Option(help="Days of a promotion; one ends now, others every 60 days before.")
    ] = 10,
    promo_purchase_boost: Annotated[
        float, typer.Option(help="How a promotion multiplies their weight of a purchase.")
    ] = 2.5,
    promo_max_session_gap_days: Annotated[int, typer.Option(help="Most days between their visits to a promotion.")] = 1,
    burst_share: Annotated[
        float, typer.Option(help="Share of shoppers with bursts: search, two views, cart, purchase.")
    ] = 0.25,
    burst_force_purchase_prob: Annotated[float, typer.Option(help="Share of bursts that end in a purchase.")] = 0.8,
) -> None:
    """Make shoppers browse and buy, in the order of time, and send it all to the collector (or to --out).

    Cohorts: heavy 1/7 (volume × 3.0, active 180-365 days, 10 % left before the last --snapshot-horizon-days),
    medium 2/7 (× 1.0, 60-180 days, 25 %), light 3/7 (× 0.4, 14-60 days, 50 %), one_time 1/7 (× 0.15, 1-7 days,
    85 %). The others are active up to the snapshot date. --events-per-user is the mean over all of them; one shopper
    makes 5 events at least (a quarter of the mean if that is less) and 5 times the mean at most. Nothing is dated
    after the snapshot date.

    Ends with 1 if an event was refused or not confirmed. Sending again the same (fix --snapshot-date) changes nothing.
    """
    from anmodel.client import SendOptions

    settings = GeneratorSettings.load(collector_url=url)
    configure_logging(settings)
    options = Options(
        snapshot_date=_instant(snapshot_date),
        seed=seed,
        events_per_user=events_per_user,
        total_events=total_events,
        activity_sigma=activity_sigma,
        min_span_days=min_span_days,
        max_span_days=max_span_days,
        max_session_gap_days=max_session_gap_days,
        snapshot_horizon_days=snapshot_horizon_days,
        promo_share=promo_share,
        promo_window_days=promo_window_days,
        promo_purchase_boost=promo_purchase_boost,
        promo_max_session_gap_days=promo_max_session_gap_days,
        burst_share=burst_share,
        burst_force_purchase_prob=burst_force_purchase_prob,
    )
    crowd = _crowd(settings, options, users)
    if out is not None:
        _write(crowd, out)
        return
    alone = batch == 1
    how = SendOptions(
        batch,
        concurrency or (100 if alone else 4),
        timeout or (3.0 if alone else 30.0),
        delay=delay,
        rate=rate,
        key=settings.collector_key.get_secret_value(),
    )
    _send(crowd, settings.collector_url, how)


def _crowd(settings: GeneratorSettings, options: Options, users: int | None) -> "Crowd":
    from itertools import islice

    from anmodel.generator.stream import Crowd
    from anmodel.users import UsersTable

    table = UsersTable.of(settings)
    table.create()
    if users is not None:
        table.seed(users, options.seed)
    chosen = [(user.user_uid, user.region) for user in islice(table.iter_all(), users)]
    if not chosen:
        raise InputError("the users table is empty; say --users N, or fill it by `anmodel users seed`")
    crowd = Crowd(chosen, options)
    log.info("shoppers chosen", users=len(chosen), events=crowd.total, snapshot_date=options.snapshot_date.isoformat())
    return crowd


def _write(crowd: "Crowd", out: Path) -> None:
    from anmodel.generator.outputs import write_events
    from anmodel.progress import ProgressLine

    with ProgressLine("generating", crowd.total) as progress:
        written = write_events(crowd.events(), out, progress)
        typer.echo(progress.line(written))
    typer.echo(f"{written:,} events of {len(crowd.shoppers):,} users written to {out}")


def _send(crowd: "Crowd", url: str, how: "SendOptions") -> None:
    from anmodel.client import CollectorClient
    from anmodel.events import encode_event
    from anmodel.progress import ProgressLine

    with ProgressLine("sending", crowd.total) as progress:
        client = CollectorClient(url, how)
        report = client.send_all(map(encode_event, crowd.events()), lambda now: progress.show(now.accepted, now.note))
    typer.echo(report.summary())
    if not report.complete:
        raise typer.Exit(1)


def _instant(text: str) -> datetime:
    """The snapshot date: now when empty; a day means its first moment; a time without a zone is UTC."""
    if not text:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--snapshot-date is {text!r}; allowed: YYYY-MM-DD or an ISO 8601 time") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
