"""What holds for a whole configuration now: its settings, the policies' version, how SQL is told. A reload changes it.

Those who act by it are handed the one object, and look at it at each call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from executor.errors import ErrorCode, SourceFailed
from executor.history.told import Redact, told_as
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.upkeep_store import UpkeepStore


class InForce:
    """The settings, the policies' version and what is told of SQL, as they are now.

    Args:
        settings: the ``[executor]`` table.
        policy_version: names the policies that statements are checked under.
        redact: as `executor.Executor` is given it.
    """

    def __init__(self, settings: ExecutorSettings, policy_version: str, redact: Redact | None) -> None:
        self._redact = redact
        self.replace(settings, policy_version)

    def replace(self, settings: ExecutorSettings, policy_version: str) -> None:
        """From now on these hold."""
        self.settings = settings
        self.policy_version = policy_version
        self.told = told_as(settings, self._redact)

    def fingerprint(self, source: str) -> str:
        """Of the source as it is configured now.

        Raises:
            SourceFailed: ``source_removed``.
        """
        found = self.settings.fingerprint_of(source)
        if found is None:
            raise SourceFailed(
                ErrorCode.SOURCE_REMOVED,
                f"Source {source} is not in the configuration (any more).",
                hint="list_sources shows those that are.",
            )
        return found


def publish(
    store: UpkeepStore, signer: Signer, settings: ExecutorSettings, policy_version: str, published: Mapping[str, str]
) -> None:
    """Says to all processes what servers go by from now on. Raises what the broker raises.

    Args:
        store: of these settings.
        signer: with the configuration's keys.
        settings: their content is on record by its hash, without the folder that is this machine's.
        policy_version: the one that holds for all workers.
        published: what else begins to hold with these policies, for the record: names and their versions.
    """
    told = settings.model_dump_json(exclude={"state_dir"})
    named = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    store.publish(signer, policy_version, {"executor": named, **published}, settings.source_fingerprints())
