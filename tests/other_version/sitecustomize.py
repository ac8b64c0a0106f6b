"""Makes a Python process one of another version of job records: `TEST_RECORD_VERSION`. Put on a process's path."""

from __future__ import annotations

import os
import sys

if "TEST_RECORD_VERSION" in os.environ:
    import executor.settings  # noqa: F401 - so that it is there

    # whoever has taken the constant over by now has it changed, too
    for module in [module for name, module in sys.modules.items() if name.startswith("executor.")]:
        if hasattr(module, "RECORD_VERSION"):
            module.RECORD_VERSION = int(os.environ["TEST_RECORD_VERSION"])
