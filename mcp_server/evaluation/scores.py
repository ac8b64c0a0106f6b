"""Items counted: per set and model, never over sets; and two runs compared, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

from mcp_server.evaluation.items import Item


@dataclass(frozen=True, slots=True)
class Score:
    """One model on one set.

    Attributes:
        items: scored; those whose gold cannot be run are `unscored` and in no other count.
        refused: by the guard.
        failed: that ran and failed, or for which no SQL was written.
        calls: to a model.
        input_tokens: None where no item told any.
        seconds: writing and running, all items.
    """

    set: str
    model: str
    items: int
    exact: int
    relaxed: int
    bird_ex: int
    refused: int
    failed: int
    unscored: int
    calls: int
    input_tokens: int | None
    output_tokens: int | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For a program, with the shares."""
        share = {name: round(getattr(self, name) / self.items, 4) if self.items else None for name in _SHARES}
        return {**asdict(self), "accuracy": share}


_SHARES = ("exact", "relaxed", "bird_ex")


def scores(items: Sequence[Item]) -> list[Score]:
    """A score for each set and model, in the order in which they come."""
    return [
        _score(group, model, [item for item in items if (item.set, item.model) == (group, model)])
        for group, model in dict.fromkeys((item.set, item.model) for item in items)
    ]


def _score(group: str, model: str, items: list[Item]) -> Score:
    scored = [item for item in items if item.gold_error is None]
    tokens = {
        name: [told for item in items if (told := getattr(item, name)) is not None]
        for name in ("input_tokens", "output_tokens")
    }
    return Score(
        set=group,
        model=model,
        items=len(scored),
        exact=sum(item.exact for item in scored),
        relaxed=sum(item.relaxed for item in scored),
        bird_ex=sum(item.bird_ex for item in scored),
        refused=sum(item.refused is not None for item in scored),
        failed=sum(item.error is not None for item in scored),
        unscored=len(items) - len(scored),
        calls=sum(item.calls for item in items),
        input_tokens=sum(tokens["input_tokens"]) if tokens["input_tokens"] else None,
        output_tokens=sum(tokens["output_tokens"]) if tokens["output_tokens"] else None,
        seconds=round(sum(item.write_s + item.run_s for item in items), 2),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the questions of one set that both have.

    Attributes:
        both: right (exact) in both.
        only_a: right in the first only.
        only_b: right in the second only.
        neither: right in none.
        p: of McNemar's exact test, two-sided: how likely so uneven a split would be if the runs were equally good.
        unpaired: questions of the set that one run has and the other has not, or cannot score.
    """

    set: str
    a: str
    b: str
    both: int
    only_a: int
    only_b: int
    neither: int
    p: float
    unpaired: int


def compare(a: Sequence[Item], b: Sequence[Item]) -> list[Comparison]:
    """Each set of two runs, each of one model, by the set's name.

    Raises:
        ValueError: a run is of several models.
    """
    names = [sorted({item.model for item in run}) for run in (a, b)]
    if any(len(models) > 1 for models in names):
        raise ValueError(f"one run holds several models: {', '.join(max(names, key=len))}")
    told = [", ".join(models) for models in names]
    compared: list[Comparison] = []
    for group in sorted({item.set for item in [*a, *b]}):
        first, second = (
            {item.id: item.exact for item in run if item.set == group and item.gold_error is None} for run in (a, b)
        )
        pairs = [(first[id_], second[id_]) for id_ in first if id_ in second]
        only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
        compared.append(
            Comparison(
                set=group,
                a=told[0],
                b=told[1],
                both=pairs.count((True, True)),
                only_a=only_a,
                only_b=only_b,
                neither=pairs.count((False, False)),
                p=mcnemar(only_a, only_b),
                unpaired=len(first.keys() ^ second.keys()),
            )
        )
    return compared


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p of McNemar's exact test: a binomial one over the pairs that differ; 1 where none does."""
    differ = only_a + only_b
    tail = sum(comb(differ, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**differ)
