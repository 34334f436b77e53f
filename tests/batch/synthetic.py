"""A small made-up shop whose shoppers have a cause for what they do, so that a model has something to find."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from anmodel.lake import DayEntry, Lake, OneFile
from anmodel.lake.manifest import day_folder
from anmodel.lake.reading import manifest_of
from anmodel.snapshots import FEATURES, contract, snapshot_version
from anmodel.snapshots.daily import day_folder as daily_folder
from anmodel.snapshots.daily import point, pointers

SHOP_START = datetime(2026, 3, 1, tzinfo=UTC)


def feature_rows(count: int, seed: int, *, share: float = 0.25) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features as a snapshot has them, and targets that depend on a few of them; about `share` buy."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for feature in FEATURES:
        if feature.kind == "category":
            columns[feature.name] = random.choice(["alpha", "beta", "gamma", ""], count)
        elif feature.block == "trends":
            columns[feature.name] = np.full(count, np.nan)
        else:
            columns[feature.name] = np.round(random.gamma(1.0, 3.0, count), 2)
    features = pd.DataFrame(columns)
    features.loc[random.random(count) < 0.3, "days_since_last_purchase"] = np.nan
    score = (
        0.5 * features["open_carts_last_3d"]
        - 0.4 * features["days_since_last"]
        + 1.0 * (features["last_event_type"] == "alpha")
    )
    score = score - np.quantile(score, 1 - share)
    bought = random.random(count) < 1 / (1 + np.exp(-1.5 * score))
    days = np.where(
        bought, np.clip(random.exponential(1 + features["days_since_last"] / 3), 0, 6.99), _later(random, score)
    )
    observed = random.uniform(7, 60, count).clip(max=30)
    amount = np.exp(random.normal(3 + 0.1 * features["avg_order_value"].clip(upper=20), 0.4))
    targets = pd.DataFrame(
        {
            "will_purchase": bought.astype(np.uint8),
            "days_to_next_purchase": np.where(days < observed, days, np.nan),
            "days_observed": observed,
            "next_purchase_amount": np.where(bought, amount, np.nan),
            "horizon_spend": np.where(bought, 1.5 * amount, 0.0),
        }
    )
    return features, targets


def _later(random: np.random.Generator, score: "pd.Series[float]") -> "pd.Series[float]":
    """Days to the purchase of those who do not buy within the horizon: sooner for a higher score."""
    return 7 + random.exponential(20, len(score)) * np.exp(-0.5 * score.clip(-3, 3))


def write_training(lake: Lake, *, rows: int = 2000, share: float = 0.25, created_from: str = "lake-1") -> None:
    """A training snapshot of `feature_rows`, as the snapshot step would leave it. Five rows a user."""
    instants, files = {}, {}
    counts = {"train": rows, "val": rows // 2, "test": rows // 2}
    for number, (part, count) in enumerate(counts.items()):
        features, targets = feature_rows(count, seed=100 + number, share=share)
        instant = SHOP_START + timedelta(days=20 * number)
        instants[part] = [instant.isoformat()]
        meta = pd.DataFrame(
            {"user_id": [f"user-{row // 5:05}" for row in range(count)], "snapshot_time": instant, "region": "UA-30"}
        )
        frame = pd.concat([meta, features, targets], axis=1)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        files[part] = msgspec.to_builtins(lake.add_table("snapshots/model1", part, table))
    manifest = {
        "name": "model1",
        "version": snapshot_version(7),
        "horizon_days": 7,
        "contract": contract(7),
        "created_from": created_from,
        "split": "time",
        "instants": instants,
        "rows": counts,
        "files": files,
        "embargo_days": 7,
    }
    lake.write_json("snapshots/model1/manifest.json", manifest)


def write_daily(lake: Lake, features: pd.DataFrame, instant: datetime) -> None:
    """A daily snapshot of these features, as the snapshot step would leave it."""
    meta = pd.DataFrame(
        {"user_id": [f"user-{row:05}" for row in range(len(features))], "snapshot_time": instant, "region": "UA-40"}
    )
    folder = daily_folder(instant.date())
    frame = pd.concat([meta, features.reset_index(drop=True)], axis=1)
    written = lake.add_table(folder, "part", pa.Table.from_pandas(frame, preserve_index=False))
    manifest = {
        "version": snapshot_version(7),
        "snapshot_time": instant.isoformat(),
        "horizon_days": 7,
        "users": len(features),
        "created_from": "lake-1",
        "contract": contract(7),
        "folder": folder,
        "files": {"part": msgspec.to_builtins(written)},
    }
    lake.write_json(f"{folder}/manifest.json", manifest)
    point(lake, manifest, instant, instead_of=pointers(lake))


def fill_lake(lake: Lake, *, users: int = 300, days: int = 75, seed: int = 7) -> pa.Table:
    """Write a shop's events to the lake as export would, and return them. Equal arguments, equal events."""
    events = shop_events(users=users, days=days, seed=seed)
    instants = events["ts"].to_pandas()
    for day, rows in events.to_pandas().groupby(instants.dt.date):
        table = pa.Table.from_pandas(rows, schema=events.schema, preserve_index=False)
        entry = DayEntry(
            rows=len(rows),
            files=OneFile(lake.add_table(day_folder(day), "part", table)),
            fingerprint=sha256("".join(rows["event_id"]).encode()).hexdigest(),
            newest=rows["ts"].max().to_pydatetime(),
            exported_at=SHOP_START + timedelta(days=days),
        )
        lake.write_json(manifest_of(day), msgspec.to_builtins(entry))
    return events


def shop_events(*, users: int, days: int, seed: int) -> pa.Table:
    """Sessions of shoppers whose keenness comes and goes; carts precede purchases, keen shoppers buy soon again."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str, datetime, str, str, str, str, float | None, str]] = []
    for number in range(users):
        user = f"user-{number:05}"
        region = str(random.choice(["UA-30", "UA-40", "UA-05"]))
        keenness, at = random.beta(1.2, 4.0), random.uniform(0, days / 2)
        pause = random.gamma(2.0, 2.0) + 0.5
        price = float(np.round(np.exp(random.normal(4.5, 0.7)), 2))
        while at < days:
            session = f"{user}-{at:.3f}"
            kinds = ["page_view", *random.choice(["search", "product_view", "click"], random.integers(1, 5))]
            if random.random() < 0.2 + keenness:
                kinds.append("add_to_cart")
                if random.random() < keenness * 1.6:
                    kinds.append("purchase")
            for step, kind in enumerate(kinds):
                ts = SHOP_START + timedelta(milliseconds=int((at + step / 1440) * 86_400_000))
                priced = kind in ("product_view", "add_to_cart", "purchase", "click")
                paid = round(price * float(random.uniform(0.7, 1.4)), 2) if priced else None
                item = f"item_{int(random.zipf(1.6)) % 200}" if priced else ""
                rows.append((f"{session}-{step}", str(kind), ts, session, user, region, item, paid, "{}"))
            at += random.exponential(pause / (0.5 + 2 * keenness))
            keenness = float(np.clip(keenness + random.normal(0, 0.08), 0.02, 0.9))
    end = SHOP_START + timedelta(days=days)
    return pa.Table.from_pylist(
        [
            dict(zip(_EVENTS.names, row, strict=True))
            for row in sorted(rows, key=lambda row: (row[4], row[2]))
            if row[2] < end
        ],
        schema=_EVENTS,
    )


_EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_type", pa.string()),
        ("ts", pa.timestamp("ms", tz="UTC")),
        ("session_id", pa.string()),
        ("user_id", pa.string()),
        ("region", pa.string()),
        ("item_id", pa.string()),
        ("price", pa.float64()),
        ("properties", pa.string()),
    ]
)
