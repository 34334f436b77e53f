#!/usr/bin/env python3
"""Brings up what AnModel runs on, part by part, in order, waiting on conditions: what platform.toml says.

Needs Python 3.11 or newer and nothing else; kubectl and helm do the work. Everything may be run again.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - who starts this may have an older `python3`
    sys.exit(
        f"k8s/platform.py needs Python 3.11 or newer; {sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}."
    )

# This file's own folder must not be searched: the standard library has a module named `platform`, too.
sys.path[0] = str(Path(__file__).resolve().parent / "python")

if __name__ == "__main__":
    from bringup.command import main

    sys.exit(main())
