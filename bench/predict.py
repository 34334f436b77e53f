"""`/predict` by one record, reasons off, at a steady rate: through the gateway and KServe's model server (v1)."""

import argparse
import json

from bench.shop_serving import measure, served


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench predict", description=__doc__)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args(arguments)
    with served(events=100_000, users=5_000) as serving:
        records = json.loads(serving.features.head(500).to_json(orient="records"))  # a NaN becomes null
        bodies = [json.dumps({"records": [record]}).encode() for record in records]
        return measure(
            "predict",
            serving.url,
            lambda number: bodies[number % len(bodies)],
            rate=options.rate,
            seconds=options.seconds,
            must=25,
            aim=12,
        )
