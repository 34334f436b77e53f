"""`python -m bench NAME [arguments]`: run one measurement; exit code 1 when it misses what it must reach."""

import importlib
import sys
from pathlib import Path

OF_ITSELF = {"__init__", "__main__"}


def names() -> list[str]:
    """The measurements there are: the modules that have a `main`."""
    found = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem not in OF_ITSELF)
    return [path.stem for path in found if "\ndef main(" in path.read_text()]


def run(arguments: list[str]) -> int:
    """Run the measurement that the first argument names, with the others."""
    if not arguments or arguments[0] not in names():
        print(f"say which: make bench NAME=x, x one of {', '.join(names())}", file=sys.stderr)
        return 2
    main = importlib.import_module(f"bench.{arguments[0]}").main
    return 0 if main(arguments[1:]) else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
