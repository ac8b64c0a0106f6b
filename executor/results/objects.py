"""A place for results in an object store (S3 and what speaks it, Google Cloud Storage, Azure), by obstore.

Parts are objects, visible when they are whole; retries are the library's. A folder leaves with what makes a result
complete first, so that one that is half removed is none. Knows no rows.
"""

# obstore and pyarrow tell the checker little of what they return.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import obstore
import pyarrow as pa
from obstore.exceptions import BaseError
from obstore.store import from_url

from executor.errors import SettingsInvalid
from executor.results.places import KeptFile, unavailable
from executor.secrets import resolve_secret
from executor.sources import SecretRef

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from executor.settings import ObjectStoreSettings

_RETRIES = 5
_RETRY_S = 20
"""How long one request is tried again: a statement waits for it meanwhile, and so does a caller."""

_CLOCK = ".clock"


class ObjectPlace:
    """A `executor.results.places.Place` in one bucket below one prefix."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, settings: ObjectStoreSettings) -> ObjectPlace:
        """Resolves the options' secrets; connects to nothing yet.

        Raises:
            SettingsInvalid: an option or a url that the library does not know.
            ExecutorError: a secret that cannot be read.
        """
        options = {
            name: resolve_secret(f"executor.object_store.options.{name}", value)
            if isinstance(value, SecretRef)
            else value
            for name, value in settings.options.items()
        }
        # the library refuses plain HTTP unless told; whoever writes such an endpoint means it
        plain = any(value.startswith("http://") for value in options.values())
        try:
            store = from_url(
                settings.url,
                config=cast("Any", options),
                client_options={"allow_http": plain, "connect_timeout": "5s", "timeout": "60s"},
                retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
            )
        except BaseException as error:
            # an option that is none of the store's panics in the library, and a panic is no Exception
            if not isinstance(error, BaseError | ValueError | TypeError) and type(error).__name__ != "PanicException":
                raise
            raise SettingsInvalid(
                message=f"[executor.object_store] cannot be used ({type(error).__name__}).",
                hint='url = "s3://bucket/prefix", "gs://…" or "az://…"; options are those of obstore for that store.',
            ) from error
        return cls(store)

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        with _trouble_told():
            found = obstore.list_with_delimiter(self._store, f"{folder}/")
            paths = [*(meta["path"] for meta in found["objects"]), *found["common_prefixes"]]
            return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def read(self, path: str) -> bytes | None:
        """See `Place.read`."""
        try:
            with _trouble_told(may_be_missing=True):
                return obstore.get(self._store, path).bytes().to_bytes()
        except FileNotFoundError:
            return None

    @contextmanager
    def opened(self, path: str) -> Generator[pa.NativeFile]:
        """See `Place.opened`. A part is small: one request fetches it whole."""
        with _trouble_told(may_be_missing=True):
            content = obstore.get(self._store, path).bytes()
        with pa.BufferReader(pa.py_buffer(content)) as file:
            yield file

    def put(self, path: str, content: bytes | pa.Buffer) -> None:
        """See `Place.put`."""
        with _trouble_told():
            obstore.put(self._store, path, memoryview(content).cast("B"), use_multipart=False)

    def put_ended(self, path: str, content: bytes | pa.Buffer) -> None:
        """See `Place.put_ended`."""
        self.put(path, content)

    def begin(self, folder: str) -> None:
        """See `Place.begin`. There is no folder to make."""
        self.remove(folder)

    def remove(self, folder: str) -> None:
        """See `Place.remove`."""
        with _trouble_told():
            paths = [meta["path"] for some in obstore.list(self._store, f"{folder}/") for meta in some]
            # manifests first: they are beside the folders of their parts
            for level in sorted({path.count("/") for path in paths}):
                obstore.delete(self._store, [path for path in paths if path.count("/") == level])

    def drop(self, path: str) -> None:
        """See `Place.drop`."""
        with suppress(FileNotFoundError), _trouble_told(may_be_missing=True):  # most stores do not tell
            obstore.delete(self._store, path)

    def kept(self) -> Iterator[KeptFile]:
        """See `Place.kept`."""
        with _trouble_told():
            for some in obstore.list(self._store):
                for meta in some:
                    yield KeptFile(meta["path"], meta["size"], meta["last_modified"].timestamp())

    def now(self) -> float:
        """See `Place.now`: the store stamps an object that is written for this; to the second, as others do."""
        with _trouble_told():
            obstore.put(self._store, _CLOCK, b"", use_multipart=False)
            return obstore.head(self._store, _CLOCK)["last_modified"].timestamp()

    def free_bytes(self) -> int | None:
        """None: a bucket has no end."""
        return None


@contextmanager
def _trouble_told(*, may_be_missing: bool = False) -> Generator[None]:
    """Turn the library's errors into ours.

    Raises:
        FileNotFoundError: no such object, where there may be none.
        ResultFailed: ``store_unavailable``.
    """
    try:
        yield
    except FileNotFoundError as error:
        if may_be_missing:
            raise
        raise unavailable("there is no such bucket") from error
    except BaseError as error:  # its text holds addresses, and sometimes a request's signature
        raise unavailable(type(error).__name__) from error
