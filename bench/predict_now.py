"""`/predict` by one user_id, features as of now from a table of a million events, at a steady rate.

Users are asked about in a random order, active ones and silent ones alike.
"""

import argparse
import json
import random

from bench.shop_serving import measure, served


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench predict_now", description=__doc__)
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args(arguments)
    chance = random.Random(1)
    with served(events=options.events, users=options.users) as serving:
        return measure(
            "predict_now",
            serving.url,
            lambda _: json.dumps({"user_ids": [f"user-{chance.randrange(options.users)}"]}).encode(),
            rate=options.rate,
            seconds=options.seconds,
            must=100,
            aim=40,
        )
