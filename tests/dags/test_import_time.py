"""How long the DAGs take to read: Airflow does it every half a minute, for ever."""

import subprocess
import sys

from conftest import DAGS

MUST_SECONDS = 0.3
MEASURE = """
import importlib.util, sys, time
import airflow.sdk
import airflow.providers.apache.kafka.operators.produce
import airflow.providers.cncf.kubernetes.operators.pod
import airflow.providers.common.messaging.triggers.msg_queue
import airflow.providers.standard.decorators.python
before = set(sys.modules)
begun = time.process_time()
for name in NAMES:
    spec = importlib.util.spec_from_file_location(name, f"DAGS/{name}.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(time.process_time() - begun)
print(*sorted(name for name in set(sys.modules) - before))
print(*(name for name in ("pandas", "numpy", "anmodel", "pyarrow") if name in sys.modules))
""".replace("DAGS", str(DAGS)).replace("NAMES", repr(sorted(path.stem for path in DAGS.glob("*.py"))))


def measured() -> tuple[float, str, str]:
    """Seconds, the modules that came along, and the heavy ones of them."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    seconds, modules, heavy = done.stdout.split("\n")[-4:-1]
    return float(seconds), modules, heavy


def test_the_dags_are_read_in_a_moment_and_bring_nothing_heavy_along() -> None:
    seconds, modules, heavy = measured()
    if seconds > MUST_SECONDS:  # a busy machine may be at fault, once
        seconds, modules, heavy = measured()
    assert {"choose_champion", "train_model"} <= {path.stem for path in DAGS.glob("*.py")}
    assert seconds <= MUST_SECONDS, f"{seconds:.3f} s of processor time; besides Airflow they import {modules}"
    assert heavy == "", "no frame library, and nothing of the package"
