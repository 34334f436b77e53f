"""Files of secrets and certificates: whether they can be used, and what tells their contents apart.

No message shows what a file holds.
"""

import hashlib
import os
from collections.abc import Container
from pathlib import Path

from anmodel.errors import SettingError


def check_secrets(folder: Path, settings: Container[str]) -> str:
    """The folder's fingerprint; `SettingError` unless it can be read, and what is named like a setting is text."""
    try:
        seen = fingerprint(folder)
        files = [path for path in folder.iterdir() if path.name.lower() in settings]
    except OSError as error:
        raise SettingError(
            f"ANMODEL_SECRETS={folder} cannot be read: {error.filename}: {error.strerror}. It must be a folder of "
            "readable files named like settings, in lower case; leave it empty when there are none."
        ) from error
    for path in files:
        _check_secret(folder, path)
    return seen


def _check_secret(folder: Path, path: Path) -> None:
    named = f"{path}, which ANMODEL_SECRETS gives for {path.name.upper()},"
    try:
        path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{named} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingError(f"{named} is no text in UTF-8.") from error
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SettingError(f"{named} is a link that leads out of the folder; put the file itself there.")


def fingerprint(folder: Path) -> str:
    """A digest of the names and contents of all files below the folder; raises `OSError`.

    Names that begin with `..` are left out: there Kubernetes keeps the contents that the other names link to, in a
    folder that has another name at each change.
    """
    digest = hashlib.sha256()
    for place, below, names in os.walk(folder, followlinks=True, onerror=_raise):
        below[:] = sorted(name for name in below if not name.startswith(".."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith("..")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _raise(error: OSError) -> None:
    raise error


def authorities(path: str) -> str:
    """The path as it came, if it names certificates (PEM) that can be trusted or none; else `ValueError`."""
    import ssl

    if not path:
        return path
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError("the file holds no certificates in PEM form") from error
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error
    return path


def check_identity(certificate: str, key: str) -> None:
    """Raise `ValueError` unless both files can be read and the key, unencrypted, is the certificate's."""
    import ssl

    try:
        # without the answer to its question OpenSSL would ask for an encrypted key's password on the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ValueError("they must be a certificate and its own unencrypted key, both in PEM form") from error
    except OSError as error:
        raise ValueError(f"one of them cannot be read: {error.strerror}") from error
