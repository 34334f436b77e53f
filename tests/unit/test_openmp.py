"""LightGBM loads on a Linux without libgomp."""

import subprocess
import sys

import pytest

# the module alone: importing the model's package would load the system's copy first
PROGRAM = """
from importlib import util
from pathlib import Path
import anmodel
spec = util.spec_from_file_location("openmp", Path(anmodel.__file__).parent / "model/openmp.py")
openmp = util.module_from_spec(spec)
spec.loader.exec_module(openmp)
openmp._load_as_system_library(openmp._carried_copy())
folder = Path(util.find_spec("lightgbm").origin).parent
library = openmp.ctypes.CDLL(str(next(folder.rglob("lib_lightgbm.so"))))
print(library.LGBM_GetMaxThreads(openmp.ctypes.byref(openmp.ctypes.c_int())))
print([line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("/libgomp.so.1.0.0")])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="macOS's wheels ask Homebrew for libomp")
def test_lightgbm_runs_on_the_copy_of_openmp_that_scikit_learn_carries() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "[]"], "LightGBM failed, or the system's copy was loaded as well"
