"""Python clients in environments of their own, which know nothing of the product's."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installing import once, run_installer

HERE = Path(__file__).parent
_RUN_S = 100


@dataclass(frozen=True)
class PythonClient:
    """A script beside this one, and the one package that it stands on.

    Attributes:
        name: for folders and skips.
        package: pinned, as pip takes it.
        script: speaks with the server that its arguments name, and writes what it saw as JSON.
    """

    name: str
    package: str
    script: str

    def run(self, target: list[str], env: dict[str, str]) -> dict[str, Any]:
        """What the script saw. The test is skipped where its package cannot be had."""
        ran = subprocess.run(
            [str(self._python()), str(HERE / self.script), *target],
            env=env,
            capture_output=True,
            text=True,
            timeout=_RUN_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def _python(self) -> Path:
        def install(folder: Path) -> None:
            run_installer([sys.executable, "-m", "venv", str(folder / "venv")], cwd=folder, what=self.name)
            pip = [str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            run_installer([*pip, self.package], cwd=folder, what=self.name)

        pins = f"{self.package} {sys.version}"
        return once(self.name, pins.encode(), install) / "venv" / "bin" / "python"


MCP_1 = PythonClient("mcp-1", "mcp==1.30.0", "mcp_1_client.py")
"""The official SDK before the stateless protocol."""

FASTMCP = PythonClient("fastmcp", "fastmcp==4.2.3", "fastmcp_client.py")
