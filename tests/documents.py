"""The documents as tests see them: their blocks, tables and links. Runs nothing.

The first word after a fence is the block's language. What follows it is for tests alone, as nothing shows it:

    sh                   every command is run, in order, in a folder of the document's own
    sh exits N           as above, and the last command's exit code is N
    sh model             as above, with a scripted model in the place of the configured one
    sh run by FILE       FILE holds each command, and is run itself: .ci/run, or another document
    sh not run: REASON   no machine of the tests can run it
    text                 after commands: what they print; … stands for anything
    toml                 a configuration that is loaded
    toml FILE            as above, and the commands below find it under that name
    json CLIENT          what `awaitsql install CLIENT` writes
    sql KIND             is run by the owner of a database of that kind

Any other language is for readers alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it begins (1-based line), its language, the words after that, and its text."""

    line: int
    language: str
    mark: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines without comments, those that end in a backslash joined with the next."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


@dataclass(frozen=True)
class Document:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf8")

    def blocks(self, language: str | None = None) -> list[Block]:
        """The fenced blocks, or those of one language."""
        found: list[Block] = []
        for token in _MARKDOWN.parse(self.text):
            if token.type == "fence" and token.map is not None:
                told, _, mark = token.info.strip().partition(" ")
                found.append(Block(token.map[0] + 1, told, mark.strip(), token.content))
        return [block for block in found if language in (None, block.language)]

    def section(self, heading: str) -> str:
        """What stands under a heading of the second or third rank, up to the next of its rank or above."""
        told = re.search(rf"^(##+) {re.escape(heading)}\n", self.text, re.MULTILINE)
        assert told is not None, f"{self.name} has no heading {heading}"
        rest = self.text[told.end() :]
        end = re.search(rf"^#{{1,{len(told[1])}}} ", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest

    def rows(self, heading: str) -> list[list[str]]:
        """The rows of the tables under a heading, without their heads; cells as they are written."""
        found: list[list[str]] = []
        for table in re.findall(r"(?:^\|.*\n)+", self.section(heading), re.MULTILINE):
            for line in table.splitlines()[2:]:
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                found.append([cell.strip().replace("\\|", "|") for cell in cells])
        return found

    def names(self, heading: str) -> list[str]:
        """The first cells of the tables under a heading, without back-quotes."""
        return [row[0].strip("`") for row in self.rows(heading)]

    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        tokens = [token for top in _MARKDOWN.parse(self.text) for token in top.children or ()]
        found = [token.attrGet("href") or token.attrGet("src") for token in tokens]
        return [str(link) for link in found if link]

    def anchors(self) -> set[str]:
        """What a link may name after ``#``: its headings, as code hosts spell them."""
        heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", self.text, flags=re.DOTALL), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def document(name: str) -> Document:
    """The document at a path below the project's folder."""
    return Document(ROOT / name)


def documents() -> list[Document]:
    """Every document for readers."""
    return [Document(path) for path in DOCUMENTS]
