"""ClickHouse over HTTPS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anmodel.errors import WarehouseError
from anmodel.settings import ClickHouseSettings
from anmodel.warehouse import Warehouse
from certificates import Authority
from secret_volume import SecretVolume
from tls_front import TlsFront


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def front(clickhouse: Any, authority: Authority, tmp_path: Path) -> Iterator[TlsFront]:
    front = TlsFront(clickhouse.port, authority, tmp_path)
    yield front
    front.close()


def test_a_server_is_trusted_by_the_authority_that_is_named(
    clickhouse: Any, front: TlsFront, authority: Authority, tmp_path: Path
) -> None:
    files = {"ca.pem": authority.certificate, "other.pem": Authority("other").certificate}
    volume = SecretVolume(tmp_path / "secrets", files | {"clickhouse_password": f"{clickhouse.password}\n"})

    def connect(**security: object) -> Warehouse:
        place = {"clickhouse_port": front.port, "clickhouse_user": clickhouse.user, "clickhouse_secure": True}
        return Warehouse.connect(ClickHouseSettings.load(anmodel_secrets=str(volume.folder), **place, **security))

    warehouse = connect(clickhouse_ca=volume.path("ca.pem"))
    assert warehouse.query("SELECT 42 AS n") == [{"n": 42}]
    assert warehouse.fault() == ""
    warehouse.close()
    with pytest.raises(WarehouseError, match="certificate verify failed"):
        connect(clickhouse_ca=volume.path("other.pem"))
    with pytest.raises(WarehouseError, match="certificate verify failed"):
        connect()
