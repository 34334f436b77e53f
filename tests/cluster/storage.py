"""The cluster's S3 server, as this machine reaches it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import s3fs

from cluster import Cluster

NAMESPACE = "storage"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def credentials(cluster: Cluster) -> dict[str, str]:
    """The server's keys, by the names of their variables."""
    return {name: cluster.secret("s3-credentials", name, NAMESPACE) for name in KEYS}


@contextmanager
def opened(cluster: Cluster) -> Iterator[Any]:
    """Its buckets as a file system, for the time of a `with`."""
    key, secret = credentials(cluster).values()
    with cluster.forwarded("service/s3", 8333, namespace=NAMESPACE) as port:
        yield s3fs.S3FileSystem(
            key=key, secret=secret, endpoint_url=f"http://127.0.0.1:{port}", skip_instance_cache=True
        )
