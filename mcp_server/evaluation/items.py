"""One scored question as a line of a file. The file is the run: what stands in it is not asked again.

But for questions that found nobody to answer them: those are no verdict on anything, and another run asks them anew.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from executor import SettingsInvalid

_NOBODY = frozenset(
    {"model_unavailable", "budget_exhausted", "executor_unavailable", "no_workers", "worker_lost", "mcp_failed"}
)


class Item(BaseModel):
    """What one writer's answer to one question was worth, and what it took.

    `refused` is the guard's code; `error` the code of a statement that ran and failed, or why there was no SQL;
    `gold_error` why the question could not be scored. `write_s` and `run_s` are seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    set: str
    db: str
    model: str
    question: str
    sql: str | None
    exact: bool = False
    relaxed: bool = False
    bird_ex: bool = False
    why: str = ""
    refused: str | None = None
    error: str | None = None
    message: str = ""
    gold_error: str | None = None
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    write_s: float = 0.0
    run_s: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """Names the item in its run: the model and the question."""
        return self.model, self.id

    @property
    def is_open(self) -> bool:
        """Whether nobody was there to answer, so that the question may be asked anew."""
        return self.error in _NOBODY


def read_items(path: Path) -> list[Item]:
    """The items of a run's file; of one that is not there, none. Of a question that was asked anew, the newest.

    A last line that was not written whole is left out.

    Raises:
        SettingsInvalid: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(message=f"{path} cannot be read: {error}", hint="Name another file.") from error
    items: dict[tuple[str, str], Item] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or not line.endswith("\n"):
            continue
        try:
            item = Item.model_validate_json(line)
        except ValidationError as error:
            raise SettingsInvalid(
                message=f"{path}, line {number} is no item of an evaluation.",
                hint="Name another file for --out, or a run's own to go on with it.",
            ) from error
        items[item.key] = item
    return list(items.values())


class ItemFile:
    """A run's file, opened to go on with it. Without a path nothing is kept. One process writes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._items = {item.key: item for item in ([] if path is None else read_items(path))}
        if path is not None and path.exists():
            # a line that a killed run did not finish would swallow the next one
            whole = path.read_bytes()
            if whole and not whole.endswith(b"\n"):
                path.write_bytes(whole[: whole.rfind(b"\n") + 1])

    @property
    def items(self) -> list[Item]:
        """All of them."""
        return list(self._items.values())

    def add(self, item: Item) -> None:
        """Keep `item`: it is in the file when this returns.

        Raises:
            SettingsInvalid: the file cannot be written.
        """
        self._items[item.key] = item
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as out:
                out.write(item.model_dump_json() + "\n")
        except OSError as error:
            raise SettingsInvalid(message=f"{self._path} cannot be written: {error}", hint="Name another.") from error
