"""What an endpoint may use: what both faces stand on, who makes the request, and the files behind links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from mcp_server.http.downloads import Downloads
from mcp_server.principal import Principal
from mcp_server.reach import Reach

CallerOf = Callable[[HTTPConnection], Principal]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebReach(Reach):
    """What every endpoint is given.

    Attributes:
        caller_of: who makes this request.
        downloads: exported files, and the links that lead to them.
    """

    caller_of: CallerOf
    downloads: Downloads
