"""Where a configuration keeps results and lists of values: an object store where one is configured, or a directory."""

from __future__ import annotations

from executor.errors import SettingsInvalid
from executor.results.local import LocalPlace
from executor.results.places import Place
from executor.results.stored import StoredResults
from executor.results.value_lists import ValueLists
from executor.settings import ExecutorSettings


def open_results(settings: ExecutorSettings) -> StoredResults:
    """The store, connected to nothing yet.

    Raises:
        SettingsInvalid: the object store's library is missing, or it cannot be used with these settings.
    """
    return StoredResults(_place(settings))


def open_value_lists(settings: ExecutorSettings) -> ValueLists:
    """The lists of values that profiles made, in the same place. Raises as `open_results`."""
    return ValueLists(_place(settings))


def _place(settings: ExecutorSettings) -> Place:
    if settings.object_store is None:
        return LocalPlace(settings.results_root)
    try:
        from executor.results.objects import ObjectPlace  # noqa: PLC0415 - its library is an extra
    except ImportError as error:
        raise SettingsInvalid(
            message=f"[executor.object_store] needs a library that is not installed ({error.name}).",
            hint='Install it with: pip install "awaitsql[object-store]"',
        ) from error
    return ObjectPlace.open(settings.object_store)
