"""ClickHouse's users: rights that parse, and that cover what the layouts of tables need."""

import pytest
import yaml
from platform_tree import named

from anmodel.layouts import Cluster
from anmodel.schema import EVENTS_RAW
from bringup.bringing import ROOT

chdb = pytest.importorskip("chdb")


def grants(user: str, overlay: str) -> list[str]:
    users = named("ClickHouseInstallation", "anmodel", in_overlay=overlay)["spec"]["configuration"]["users"]
    return list(users[f"{user}/grants/query"])


def test_every_grant_is_one_that_clickhouse_reads() -> None:
    given = [*grants("anmodel", "kind"), *grants("anmodel", "production"), *grants("anmodel_backup", "production")]
    wanted = [f"{grant} TO somebody" for grant in given]
    rows = ", ".join(f"('{grant}')" for grant in wanted)
    said = str(chdb.query(f"SELECT formatQuerySingleLine(q) FROM values('q String', {rows})", "TSV"))
    assert said.splitlines() == wanted


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_the_stages_user_owns_its_database_and_nothing_else(overlay: str) -> None:
    database = yaml.safe_load((ROOT / "charts/anmodel/values.yaml").read_text())["clickhouse"]["database"]
    given = grants("anmodel", overlay)
    assert f"GRANT ALL ON {database}.*" in given
    others = [grant for grant in given if " ON *.*" in grant]
    # ON CLUSTER, clusterAllReplicas (a table function), KILL QUERY ON CLUSTER: what layouts.Cluster writes
    assert others == ["GRANT CLUSTER, REMOTE, CREATE TEMPORARY TABLE, KILL QUERY ON *.*"]
    layout = Cluster(database, "anmodel")
    assert " ON CLUSTER " in layout.create_database()
    assert layout.everywhere("system.tables").startswith("clusterAllReplicas(")
    assert layout.kill("1").startswith("KILL QUERY ON CLUSTER")
    assert all(f" {database}." in statement for statement in layout.create(EVENTS_RAW))


def test_the_clusters_name_is_the_one_that_the_release_says() -> None:
    production = yaml.safe_load((ROOT / "charts/anmodel/profiles/production.yaml").read_text())
    chi = named("ClickHouseInstallation", "anmodel", in_overlay="production")["spec"]["configuration"]
    assert chi["clusters"][0]["name"] == production["clickhouse"]["cluster"]
