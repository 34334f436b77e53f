"""OpenMP for LightGBM, whose wheel does not carry it: the system's, else the copy that scikit-learn's wheel carries."""

import ctypes
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

_NAME = b"libgomp.so.1"

# Before OpenMP is loaded: threads that wait by spinning made fitting six times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def provide_openmp() -> None:
    """Make `libgomp.so.1` loadable on Linux, where a bare system lacks it. Elsewhere, and when it is there, nothing."""
    if not sys.platform.startswith("linux") or _loads(_NAME.decode()):
        return
    carried = _carried_copy()
    if carried is not None:
        _load_as_system_library(carried)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _carried_copy() -> Path | None:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parents[1].glob("scikit_learn.libs/libgomp-*.so*"), None)


def _load_as_system_library(carried: Path) -> None:
    """Load a copy that calls itself `libgomp.so.1`: the loader gives it to whoever asks for that name from then on.

    Wheels rename what they carry (libgomp-1a2b3c4d.so.1.0.0), in the file's name and in the name within. The name
    within is longer than the one wanted, so it can be written over in place.
    """
    within = carried.name.encode() + b"\0"
    renamed = carried.read_bytes().replace(within, _NAME.ljust(len(within), b"\0"))
    with tempfile.NamedTemporaryFile(suffix=".so") as copy:
        copy.write(renamed)
        copy.flush()
        ctypes.CDLL(copy.name, ctypes.RTLD_GLOBAL)
