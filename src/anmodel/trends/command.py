"""`anmodel trends`."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from anmodel.settings import TrendsSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.trends.series import Point
    from anmodel.trends.serpapi import TrendsApi

log = structlog.get_logger()


def command(
    days: Annotated[int, typer.Option(min=270, max=1800, help="Days back; from 270 on the API answers by week.")] = 730,
) -> None:
    """Fetch search trends into the lake, trends/trends.parquet. Skipped without SERPAPI_KEY; safe to repeat.

    The table is replaced as a whole, once all queries have been answered.
    """
    settings = TrendsSettings.load()
    configure_logging(settings)
    if not settings.serpapi_key.get_secret_value():
        typer.echo("skipped: SERPAPI_KEY is not set")
        return
    import httpx

    from anmodel.lake import Lake
    from anmodel.trends.serpapi import TrendsApi
    from anmodel.trends.table import TRENDS_FILE, trends_table

    now = datetime.now(UTC)
    with httpx.Client(timeout=30) as http:
        api = TrendsApi(http, settings.serpapi_url, settings.serpapi_key)
        points = fetch_all(api, _listed(settings.trends_queries), _listed(settings.trends_regions), now.date(), days)
    lake = Lake(settings.parquet_out)
    if not points:
        typer.echo("no trends: the API has no data for these queries; nothing was written")
        return
    lake.write_table(TRENDS_FILE, trends_table(points, now))
    typer.echo(f"{len(points):,} values written to {lake.path(TRENDS_FILE)}")


def fetch_all(api: "TrendsApi", queries: list[str], regions: list[str], today: date, days: int) -> "list[Point]":
    """Every query in every region, over the `days` up to today; values not over by today are left out."""
    from anmodel.progress import ProgressLine
    from anmodel.trends.series import read_series

    period = f"{today - timedelta(days=days)} {today}"
    points: list[Point] = []
    with ProgressLine("trends", len(queries) * len(regions), unit="requests") as progress:
        for done, (query, region) in enumerate(((query, region) for query in queries for region in regions), 1):
            found, faults = read_series(api.series(query, region, period), query, region)
            points += [point for point in found if point.known_from <= today]
            if faults:
                log.warning(
                    "trends partly unreadable", query=query, region=region, entries=len(faults), first=faults[0]
                )
            progress.show(done, f"{query} in {region}: {len(found)} values")
    return points


def _listed(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]
