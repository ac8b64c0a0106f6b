"""Hosts on one machine: each with an address, a file tree of its own, and a cable that can be pulled. Knows no service.

As root on Linux they are network namespaces on a bridge, their tree is bound to `/mnt` in a mount namespace, and the
rest of the machine's files is read-only to them. Elsewhere they are addresses of loopback that share one tree, and a
pulled cable is a stopped process: what it cannot send is the same, what others see of its connections is not.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil


class Hosts(ABC):
    """The hosts, by name."""

    addresses: Mapping[str, str]
    gateway: str
    """The address at which they reach this process."""

    @abstractmethod
    def root(self, name: str) -> Path:
        """Where the host's file tree is for us."""

    @abstractmethod
    def path(self, inside: str) -> str:
        """Where `inside`, a path of the tree, is for the host's processes."""

    @abstractmethod
    def command(self, name: str, command: Sequence[str], *, confined: bool) -> list[str]:
        """`command` as a process of the host; `confined`: without capabilities, the machine's files read-only."""

    @abstractmethod
    def listening(self, name: str, text: str) -> str:
        """`text` with the addresses 0.0.0.0 and 127.0.0.1 as they are spelt on the host."""

    @abstractmethod
    def has(self, name: str, pids: Sequence[int], address: str, port: int) -> bool:
        """Whether this end of a connection is the host's, whose processes are `pids`."""

    @abstractmethod
    def share(self, name: str, inside: str, folder: Path) -> None:
        """Puts `folder` at `inside` of the host's tree, which it may share with others."""

    @abstractmethod
    def cut(self, name: str, pids: Sequence[int]) -> None:
        """Nothing goes from the host to any other, or back, until `mend`. `pids` are its processes."""

    @abstractmethod
    def mend(self, name: str, pids: Sequence[int]) -> None:
        """Undoes `cut`."""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


_FURNISHED = """
set -e
for pair in $1; do mount --bind "${pair%:*}" "/mnt${pair#*:}"; done
shift
"""
# Nothing else of the machine's files can be written to.
_CONFINED = 'mount -o remount,bind,ro /; exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"'
_OPEN = 'exec "$@"'


class Namespaces(Hosts):
    """Hosts as network namespaces."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._mark = f"aq{secrets.token_hex(3)}"
        net = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
        self.gateway = f"{net}.1"
        self.addresses = {name: f"{net}.{number}" for number, name in enumerate(names, 11)}
        self._cables = {name: f"{self._mark}.{number}" for number, name in enumerate(names)}
        self._mounts = {name: [f"{self.root(name)}:"] for name in names}

    def build(self) -> None:
        _ip("link", "add", self._mark, "type", "bridge")
        _ip("addr", "add", f"{self.gateway}/24", "dev", self._mark)
        _ip("link", "set", self._mark, "up")
        for name, address in self.addresses.items():
            cable, space = self._cables[name], f"{self._mark}-{name}"
            _ip("netns", "add", space)
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", cable, "master", self._mark, "up")
            for link in ("lo", "eth0"):
                _ip("-n", space, "link", "set", link, "up")
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")

    def remove(self) -> None:
        for name in self.addresses:
            subprocess.run(["ip", "netns", "del", f"{self._mark}-{name}"], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._mark], check=False, capture_output=True)

    def root(self, name: str) -> Path:
        return self._folder / name

    def path(self, inside: str) -> str:
        return f"/mnt{inside}"

    def command(self, name: str, command: Sequence[str], *, confined: bool) -> list[str]:
        script = _FURNISHED + (_CONFINED if confined else _OPEN)
        entered = ["ip", "netns", "exec", f"{self._mark}-{name}", "sh", "-c", script, name]
        return [*entered, " ".join(self._mounts[name]), *command]

    def listening(self, name: str, text: str) -> str:
        return text

    def has(self, name: str, pids: Sequence[int], address: str, port: int) -> bool:
        return address == self.addresses[name]

    def share(self, name: str, inside: str, folder: Path) -> None:
        self._mounts[name].append(f"{folder}:{inside}")

    def cut(self, name: str, pids: Sequence[int]) -> None:
        _ip("link", "set", self._cables[name], "down")

    def mend(self, name: str, pids: Sequence[int]) -> None:
        _ip("link", "set", self._cables[name], "up")


class Loopback(Hosts):
    """Hosts as addresses of this machine."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        net = f"127.{16 + secrets.randbelow(200)}.{secrets.randbelow(256)}"
        self.gateway = "127.0.0.1"
        self.addresses = {name: f"{net}.{number}" for number, name in enumerate(names, 11)}

    def root(self, name: str) -> Path:
        return self._folder / "all"

    def path(self, inside: str) -> str:
        return f"{self._folder / 'all'}{inside}"

    def command(self, name: str, command: Sequence[str], *, confined: bool) -> list[str]:
        return list(command)

    def listening(self, name: str, text: str) -> str:
        return text.replace("0.0.0.0", self.addresses[name]).replace("127.0.0.1", self.addresses[name])

    def has(self, name: str, pids: Sequence[int], address: str, port: int) -> bool:
        ends = [each.laddr for pid in pids for each in psutil.Process(pid).net_connections("tcp")]
        return any(end.port == port for end in ends)

    def share(self, name: str, inside: str, folder: Path) -> None:
        """Nothing to do: they share the whole tree."""

    def cut(self, name: str, pids: Sequence[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def mend(self, name: str, pids: Sequence[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def has_namespaces() -> bool:
    """Whether this process may make network and mount namespaces, and has the programs for it."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    if not all(map(shutil.which, ("ip", "unshare", "mount", "setpriv"))):
        return False
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", "ip link add name tried type bridge && mount --bind /tmp /mnt"],
        check=False,
        capture_output=True,
    )
    return tried.returncode == 0


@contextmanager
def hosts_of(names: Sequence[str], *, namespaces: bool) -> Iterator[Hosts]:
    """Hosts with these names, gone at the end; their processes must have ended by then."""
    folder = Path(tempfile.mkdtemp(prefix="aq-hosts-"))
    folder.chmod(0o755)
    try:
        if not namespaces:
            (folder / "all").mkdir()
            yield Loopback(folder, names)
            return
        made = Namespaces(folder, names)
        for name in names:
            made.root(name).mkdir()
        try:
            made.build()
            yield made
        finally:
            made.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
