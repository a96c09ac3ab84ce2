"""Cases like a WRONG one whose arrays hold larger or smaller numbers, or are drawn anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random

from bncli.verification.search import call_history, contents
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.learning import Learning
from bncli.verification.search.shrinking import EPSILON

SEEDS, FEW = 12, 2
MODEST = 1 << 14  # elements of a case that is tried with many seeds
FACTORS = tuple(10.0**k for k in (-20, -15, -12, -9, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 9, 12, 20))
OFFSETS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
EPSILONS = (0.0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-8, 1e-7, 1e-6, 1e-4, 1e-3, 1e-2, 1.0)
EPS = "eps="
SIZES: dict[tuple[str, str], tuple[float, ...]] = {
    **{(name, "x"): FACTORS for name in contents.WORDS},
    ("data", "+"): OFFSETS,
    ("", EPS): EPSILONS,
}
MODERATE = (0.01, 0.1, 0.3, 3.0, 10.0, 100.0)
WORDS = ("outlier-last", "outlier-first", "decades-3", "skewed")
COMBINED = 150
SMALLER, POSITIVE, SAMELY = 0.01, "positive", 3
NARROWEST = 1.02  # the ratio of a number that is wrong to one that is right
_SIZED = re.compile(r"[x+]\d|outlier|decades")


def has_sizes(line: CaseLine) -> bool:
    """Whether how large its numbers are is a part of the case."""
    words = [word for name in contents.WORDS for word in getattr(line, name).split(",")]
    return line.problem.epsilon != EPSILON or any(map(_SIZED.match, words))


class Resized:
    """Cases that differ from ``base`` in the numbers of one array, in epsilon or in the seed."""

    def __init__(self, base: CaseLine) -> None:
        self.base = base
        self.names = [name for name in contents.WORDS if getattr(base, name) != contents.NONE]
        self.sizes = {kind: list(sizes) for kind, sizes in SIZES.items() if self._is_in_base(*kind)} or {
            (name, by): list(sizes) for (name, by), sizes in SIZES.items() if name in ("", *self.names)
        }

    def _is_in_base(self, name: str, by: str) -> bool:
        if by == EPS:
            return self.base.problem.epsilon != EPSILON
        words = [word for word in getattr(self.base, name).split(",") if _SIZED.match(word)]
        return any(word[0] == by or (by == "x" and word[0] != "+") for word in words)

    def seeds(self) -> list[CaseLine]:
        """Those that differ in the seed alone."""
        few = self.base.problem.size > MODEST or self.base.history != call_history.PLAIN
        return [replace(self.base, seed=seed) for seed in range(1, (FEW if few else SEEDS) + 1)]

    def limited(self) -> list[list[CaseLine]]:
        """Those with smaller numbers in one array, which no upper limit cuts off, and with each gamma above 0.

        Each with several seeds: one alone may be right by luck.
        """
        plain = [name for name in ("data", "gamma", "dy") if getattr(self.base, name) == contents.DEFAULTS[name]]
        found = [self._with(name, "x", SMALLER) for name in plain]
        found += [replace(self.base, gamma=POSITIVE)] if "gamma" in plain else []
        return [[replace(line, seed=line.seed + step) for step in range(SAMELY)] for line in found]

    def first(self) -> list[CaseLine]:
        """Those that are tried in any case."""
        found = [self.base.holding(name, contents.DEFAULTS[name]) for name in self.names]
        return found + self.seeds() + self.sized() + [replace(self.base, data=word) for word in WORDS]

    def sized(self) -> list[CaseLine]:
        """Those with other numbers in one array."""
        return [self._with(name, by, size) for (name, by), sizes in self.sizes.items() for size in sizes]

    def pool(self) -> list[CaseLine]:
        """Those that differ in the numbers of several arrays."""
        rng, found = Random(f"{self.base}"), []
        for _ in range(COMBINED):
            line = replace(self.base, seed=rng.randrange(1 << 31))
            for name in rng.sample(self.names, 2):
                times = rng.choice(MODERATE)
                line = line.holding(name, _also(getattr(line, name), "x", times * _own(getattr(line, name))))
            found.append(line)
        return found + [
            replace(self.base, data=_also(_also(self.base.data, "x", size), "+", times * size))
            for size in FACTORS
            for times in (3, 30)
        ]

    def border(self, learning: Learning) -> list[CaseLine]:
        """Halfway, in logarithm, between a number that is right and one that is wrong."""
        return list(self._border(learning))

    def _border(self, learning: Learning) -> Iterator[CaseLine]:
        for (name, by), sizes in self.sizes.items():
            tried = [(size, learning.found.get(self._with(name, by, size))) for size in sorted(set(sizes))]
            decided = [(size, fails) for size, fails in tried if fails is not None and size > 0]
            for (low, fails), (high, also) in pairwise(decided):
                if fails != also and high / low > NARROWEST:
                    middle = float(f"{(low * high) ** 0.5:.3g}")
                    if low < middle < high and middle not in sizes:
                        sizes.append(middle)
                        yield self._with(name, by, middle)

    def _with(self, name: str, by: str, size: float) -> CaseLine:
        if by == EPS:
            return replace(self.base, problem=replace(self.base.problem, epsilon=size))
        return self.base.holding(name, _also(getattr(self.base, name), by, size))


def _also(words: str, by: str, size: float) -> str:
    """``words`` with a number of the kind ``by`` that is ``size``."""
    kept = [word for word in words.split(",") if word not in (contents.NORMAL, contents.DRAWN) and word[0] != by]
    return ",".join([*kept, f"{by}{size:g}"])


def _own(words: str) -> float:
    """What ``words`` multiply by."""
    return next((float(word[1:]) for word in words.split(",") if word[0] == "x"), 1.0)
