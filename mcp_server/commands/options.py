"""What several commands take: which configuration, which source. Turns them into settings, once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from executor import SettingsInvalid

if TYPE_CHECKING:
    from mcp_server.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Where:
    """Which databases: a configuration file, files and URLs, or neither for the demo shop.

    Attributes:
        config: the configuration file (TOML).
        db: a SQLite or DuckDB file, CSV, JSON-lines or Parquet files, or a database URL; may be given several times.
    """

    config: Annotated[Path | None, Parameter(name="--config")] = None
    db: Annotated[tuple[str, ...], Parameter(name="--db", negative="")] = ()

    def settings(self) -> Settings:
        """The settings, with the demo shop as the one source where nothing was named.

        Raises:
            SettingsInvalid: says which key, file or variable is wrong.
        """
        from mcp_server.settings import load_settings  # noqa: PLC0415 - only commands that need settings pay for them

        found = load_settings(config=self.config, databases=self.db, environ=os.environ)
        os.environ.update(found.secrets)
        if found.executor.sources or self.config is not None or self.db:
            return found
        from mcp_server.commands.demo_source import demo_databases  # noqa: PLC0415 - as above

        return load_settings(config=None, databases=demo_databases(found.executor.state_dir), environ=os.environ)


def chosen_source(settings: Settings, source: str | None) -> str:
    """The source's name: the one named, or the only one there is.

    Raises:
        SettingsInvalid: there is none of that name, or there are several and none was named.
    """
    names = list(settings.executor.sources)
    if source is None and len(names) == 1:
        return names[0]
    if source in settings.executor.sources:
        return str(source)
    listed = f"Sources: {', '.join(names)}." if names else "No source is configured: give --db or --config."
    if source is None:
        raise SettingsInvalid(message="Say which source the SQL is for.", hint=f"Use --source NAME. {listed}")
    raise SettingsInvalid(message=f"There is no source named {source}.", hint=listed)
