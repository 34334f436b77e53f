"""The laptop's own environment: addresses that fit together and secrets made here, in one file under ANMODEL_HOME.

`ensure` writes `laptop.env` (readable by its owner alone) before anything starts; `apply` gives it to a command typed
beside a running platform. A variable the user has set always wins, and the file then records what is in effect.
"""

import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from anmodel.errors import SettingError
from anmodel.laptop.locks import FolderLock
from anmodel.settings import LaptopSettings

FILE_NAME = "laptop.env"
LOCK_NAME = "up.lock"
HEADER = "# Written by `anmodel up`. For a shell: set -a; . {path}; set +a\n"
SECRETS = ("CLICKHOUSE_PASSWORD",)
PRIVACY = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

_applied: dict[str, str] = {}


def ensure(settings: LaptopSettings, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make ANMODEL_HOME and its `laptop.env`; returns the variables in effect. Safe to repeat: secrets are kept.

    `given` are the variables that win over ours; by default those of this process.
    """
    given = os.environ if given is None else given
    home = settings.anmodel_home.expanduser().absolute()
    path = home / FILE_NAME
    lock = FolderLock(home / LOCK_NAME)
    if not lock.free():
        raise in_use(home, lock)  # the file is what the running platform goes by
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "mlflow").mkdir(exist_ok=True)
        variables = _ours(settings, home) | _secrets(read(home))
        in_effect = {name: given.get(name) or value for name, value in variables.items()}
        _write(path, in_effect)
    except OSError as error:
        raise SettingError(f"ANMODEL_HOME={home} cannot be written: {error}. Mend that or choose another.") from error
    return in_effect


def apply(home: Path | None = None) -> dict[str, str]:
    """Put the variables of `laptop.env` into this process where they are not set; returns those put.

    Without the file nothing happens: outside a laptop the environment is complete by itself.
    """
    put = {}
    for name, value in read(home or Path(os.environ.get("ANMODEL_HOME") or ".anmodel").expanduser()).items():
        if not os.environ.get(name):
            os.environ[name] = put[name] = value
    _applied.update(put)
    return put


def withdraw() -> None:
    """Take back what `apply` put: who starts the platform decides anew, by what the user has set and nothing else."""
    for name, value in _applied.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    _applied.clear()


def read(home: Path) -> dict[str, str]:
    """The variables of the folder's `laptop.env`; none when there is no such file. Raises `SettingError`."""
    path = home / FILE_NAME
    try:
        words = shlex.split(path.read_text(), comments=True)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"ANMODEL_HOME={home} cannot be read: {error}. Set it to a folder of yours.") from error
    except ValueError as error:
        raise SettingError(f"{path} is damaged ({error}). Remove it: `anmodel up` writes it anew.") from error
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def in_use(home: Path, lock: FolderLock) -> SettingError:
    """The error of who would start a second platform on one folder."""
    return SettingError(
        f"ANMODEL_HOME={home} is in use by a running `anmodel up` (process {lock.owner()}). "
        "Stop that one first, or set ANMODEL_HOME to another folder."
    )


def marketapp_source() -> Path:
    """The console's source: `MarketApp` here, or in the checkout this package was installed from."""
    here = Path("MarketApp").absolute()
    return here if here.exists() else Path(__file__).resolve().parents[3] / "MarketApp"


def _ours(settings: LaptopSettings, home: Path) -> dict[str, str]:
    marketapp = settings.marketapp_port
    ports = {
        name.upper(): str(getattr(settings, name)) for name in type(settings).model_fields if name.endswith("_port")
    }
    return {
        "ANMODEL_HOME": str(home),
        **ports,
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{settings.kafka_port}",
        "PREDICTIONS_TOPIC": "predictions",
        "CLICKHOUSE_HOST": "127.0.0.1",
        "CLICKHOUSE_USER": "admin",
        "USERS_URL": f"sqlite:///{home / 'users.db'}",
        "PARQUET_OUT": str(home / "lake"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        "MLFLOW_ARTIFACTS": str(home / "mlflow" / "artifacts"),
        "COLLECTOR_URL": f"http://127.0.0.1:{settings.collector_port}/collect",
        "PREDICTOR_URL": f"http://127.0.0.1:{settings.predictor_port}",
        "VITE_API_BASE": f"http://127.0.0.1:{settings.gateway_port}",
        "CORS_ORIGINS": f"http://localhost:{marketapp},http://127.0.0.1:{marketapp}",
        "MARKETAPP_DIST": str(marketapp_source() / "dist"),
        **PRIVACY,
    }


def _secrets(known: Mapping[str, str]) -> dict[str, str]:
    return {name: known.get(name) or secrets.token_urlsafe(24) for name in SECRETS}


def _write(path: Path, variables: Mapping[str, str]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    lines = [HEADER.format(path=path), *(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())]
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
    fresh.replace(path)
