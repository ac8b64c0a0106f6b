"""A database's words about a value, without the value: what stands in rows is shown in rows and nowhere else.

An error reaches whoever reads it as a sentence of ours. A database that quotes a cell in it would let whoever wrote the
cell put words there, for an assistant to follow, and show a value that a policy may hide.
"""

from __future__ import annotations

import re

VALUES_HINT = "A value does not fit. Look at the column's values, or leave out the ones that do not."
"""What to do about such an error."""

# an apostrophe inside a word is none, so that "can't" may stand in a sentence
_QUOTE = re.compile(r"[\"`“”«»]|(?<![^\W\d_])'|'(?![^\W\d_])")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\w.,:+-]*")


def without_values(words: str) -> str:
    """`words` up to the first value in them; numbers that stand alone are left out, too.

    What comes after a quoted value cannot be kept: a value may hold quotes, and then nothing tells where it ends.
    """
    line = words.split("\n", 1)[0]
    found = _QUOTE.search(line)
    kept = line if found is None else f"{line[: found.start()].rstrip()} …"
    return _NUMBER.sub("…", kept)
