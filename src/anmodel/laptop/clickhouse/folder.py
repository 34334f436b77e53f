"""The process's folder: its lock, the engine's data and configuration, and the spool for bodies in passing.

    lock           held while the process lives
    engine.xml     the engine's configuration, written anew at each start
    engine/        the engine's own data
    spool/         emptied at each start

The process works *in* this folder (`os.chdir`): the engine takes its path in an address-like string, in which many
characters of a real path would mean something else.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from anmodel.errors import WarehouseError
from anmodel.laptop.locks import FolderLock

HOST: Final = "127.0.0.1"  # and no other: the password goes over the line as it is
DATA: Final = "engine"
CONFIG: Final = "engine.xml"
SPOOL: Final = "spool"

# A laptop's share of what a server would take: caches that a server sizes in gigabytes are kept small here.
_CONFIG_TEXT: Final = """\
<clickhouse>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <mark_cache_size>33554432</mark_cache_size>
    <index_mark_cache_size>8388608</index_mark_cache_size>
    <primary_index_cache_size>33554432</primary_index_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <query_condition_cache_size>8388608</query_condition_cache_size>
    <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
    <mmap_cache_size>64</mmap_cache_size>
    <max_thread_pool_size>256</max_thread_pool_size>
    <max_thread_pool_free_size>8</max_thread_pool_free_size>
</clickhouse>
"""


def occupy(path: Path, memory_bytes: int) -> FolderLock:
    """Become the folder's one owner, make its parts and work in it. Raises `WarehouseError` if it has one already."""
    path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(path / "lock")
    if not lock.take():
        raise WarehouseError(
            f"The folder {path} belongs to a ClickHouse process that runs already (process {lock.owner()}). "
            "Stop that one, or start this one with another --path."
        )
    os.chdir(path)
    shutil.rmtree(SPOOL, ignore_errors=True)
    Path(SPOOL).mkdir(mode=0o700)
    Path(CONFIG).write_text(_CONFIG_TEXT.format(memory=memory_bytes))
    return lock
