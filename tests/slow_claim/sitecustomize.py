"""Makes a Python process slow to begin the jobs it has claimed: `TEST_SLOW_CLAIM_S`. Put on a process's path.

The broker's answer is held back, as on a machine that has no time for the thread that waits for it.
"""

from __future__ import annotations

import os
import time
from typing import Any

if "TEST_SLOW_CLAIM_S" in os.environ:
    from executor.store import WorkerStore

    _claim = WorkerStore.claim

    def _slow_claim(self: WorkerStore, *arguments: Any) -> Any:
        claim = _claim(self, *arguments)
        time.sleep(float(os.environ["TEST_SLOW_CLAIM_S"]))
        return claim

    WorkerStore.claim = _slow_claim
