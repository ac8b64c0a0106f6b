"""The one result store of a configuration: in an object store where one is configured, else in a directory."""

from __future__ import annotations

from executor.errors import SettingsInvalid
from executor.results.local import LocalPlace
from executor.results.stored import StoredResults
from executor.settings import ExecutorSettings


def open_results(settings: ExecutorSettings) -> StoredResults:
    """The store, connected to nothing yet.

    Raises:
        SettingsInvalid: the object store's library is missing, or it cannot be used with these settings.
    """
    if settings.object_store is None:
        return StoredResults(LocalPlace(settings.results_root))
    try:
        from executor.results.objects import ObjectPlace  # noqa: PLC0415 - its library is an extra
    except ImportError as error:
        raise SettingsInvalid(
            message=f"[executor.object_store] needs a library that is not installed ({error.name}).",
            hint='Install it with: pip install "awaitsql[object-store]"',
        ) from error
    return StoredResults(ObjectPlace.open(settings.object_store))
