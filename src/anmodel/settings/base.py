"""What every stage's settings are made of: read once, at the start, from the environment, else from files of secrets.

A wrong or missing setting raises `SettingError`, which names the variable. The field's name in capitals is the
variable's name, and in lower case the name of its file in the folder ANMODEL_SECRETS.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from anmodel.errors import SettingError
from anmodel.secret_files import authorities, check_secrets

Port = Annotated[int, Field(ge=1, le=65535)]
Authorities = Annotated[str, AfterValidator(authorities)]


class Settings(BaseSettings):
    """What every stage has."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe line logged.")
    log_format: str = Field(
        "text", pattern="^(text|json)$", description="`text` for people, `json` for collectors of logs."
    )
    anmodel_secrets: str = Field("", description="Folder of files that hold settings, named like them in lower case.")
    secrets_poll_seconds: float = Field(10.0, gt=0, description="Seconds between looks whether those files changed.")
    secrets_spread_seconds: float = Field(
        30.0, ge=0, description="A service ends to take up changed files after a random part of so many seconds."
    )
    _secrets_seen: str = PrivateAttr("")

    @property
    def secrets_seen(self) -> str:
        """The fingerprint that the folder of secrets had just before these settings were read; empty without one."""
        return self._secrets_seen

    @classmethod
    def load(cls, **given: object) -> Self:
        """Read the environment and the files of secrets; the environment wins over them, and `given` (field names)
        over both. Raises `SettingError` naming every fault.
        """
        folder = str(given.get("anmodel_secrets") or os.environ.get("ANMODEL_SECRETS") or "")
        seen = check_secrets(Path(folder), cls.model_fields) if folder else ""
        values = {name: value for name, value in given.items() if value is not None}
        try:
            settings = cls(_secrets_dir=folder or None, **values)  # type: ignore[arg-type]
        except ValidationError as error:
            raise SettingError("\n".join(_fault(cls, item) for item in error.errors())) from error
        settings._secrets_seen = seen
        return settings


def _fault(cls: type[Settings], item: object) -> str:
    """One line for one of pydantic's error records: the variable, what came, what is allowed."""
    assert isinstance(item, dict)
    said = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return said  # of several settings together; it names them
    name = str(item["loc"][0])
    field = cls.model_fields.get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    if item["type"] == "missing":
        return f"{name.upper()} is not set{meaning}. Set it in the environment or in a file of ANMODEL_SECRETS."
    came = "" if field and field.annotation is SecretStr else f": got {item['input']!r}"
    return f"{name.upper()} is wrong{came}; {said}{meaning}."
