"""An object store for tests: S3 over real HTTP, by moto's server in this process."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.settings import ObjectStoreSettings
from executor.sources import SecretRef


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, empty."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket(endpoint: str, folder: Path) -> ObjectStoreSettings:
    """A fresh bucket, one for each `folder`, and how to reach it."""
    name = "b" + hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT")):
        pass
    os.environ["TEST_S3_SECRET"] = "secret"
    return ObjectStoreSettings(
        url=f"s3://{name}/results",
        options={
            "endpoint": endpoint,
            "region": "us-east-1",
            "access_key_id": "key",
            "secret_access_key": SecretRef(env="TEST_S3_SECRET"),
        },
    )
