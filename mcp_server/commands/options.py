"""What several commands take: which configuration, which source, which form. Turns them into settings, once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from executor import SettingsInvalid

if TYPE_CHECKING:
    from mcp_server.settings import Settings


TOKEN_VARIABLE = "AWAITSQL_TOKEN"  # noqa: S105 - where a token is, not one
"""The environment variable of `There.token`; the one of its prefix that is no setting."""


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

        environ = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        found = load_settings(config=self.config, databases=self.db, environ=environ)
        os.environ.update(found.secrets)
        if found.executor.sources or self.config is not None or self.db:
            return found
        from mcp_server.commands.demo_source import demo_databases  # noqa: PLC0415 - as above

        return load_settings(config=None, databases=demo_databases(found.executor.state_dir), environ=environ)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class There:
    """Another server that does the work, instead of this machine.

    Attributes:
        server: the address of one that was started with `serve --transport http`.
        token: what it lets you in with, where callers sign in.
    """

    server: Annotated[str | None, Parameter(name="--server")] = None
    token: Annotated[str | None, Parameter(name="--token", env_var=TOKEN_VARIABLE)] = None

    def is_meant(self, where: Where) -> bool:
        """Whether a server was named.

        Raises:
            SettingsInvalid: databases of this machine were named as well.
        """
        if self.server is None:
            return False
        if where.config is not None or where.db:
            raise SettingsInvalid(
                message="--server has its own databases; --db and --config name this machine's.", hint="Leave one out."
            )
        return True


HERE = Where()
NOWHERE = There()

Flag = Annotated[bool, Parameter(negative="")]  # there or not; no --no-…
Many = Annotated[tuple[str, ...], Parameter(negative="")]  # may be given several times
Json = Annotated[bool, Parameter(name="--json", negative="")]
Sql = Annotated[str, Parameter(allow_leading_hyphen=True)]  # - means standard input, and SQL may begin with a comment
Format = Literal["table", "csv", "json", "parquet", "arrow"]


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
