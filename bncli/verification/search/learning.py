"""Find the plainest predicate that fits all that was tried, by trying the cases on which those that fit differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.verification.search import testing_points
from bncli.verification.search.attempts import Attempts
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.fits import fitting, necessary
from bncli.verification.search.predicates import Column, Predicate
from bncli.verification.search.testing_points import CHEAP
from bncli.verification.search.trial import Tried

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Numbers = Callable[[CaseLine], tuple[float, ...]]
RIVALS = 100
ENOUGH = 3  # cases on either side
COMPARED, PAIRS = 100, 3


class Learning:
    """Cases with ``numbers`` that ``columns`` name, each tried: is the same wrong as in ``like``?

    ``right`` and ``wrong`` are those of which that can be said.
    """

    def __init__(self, columns: Sequence[Column], numbers: Numbers, attempts: Attempts, like: Tried) -> None:
        self.columns, self.numbers, self.attempts, self.like = columns, numbers, attempts, like
        self.found: dict[CaseLine, bool | None] = {}

    @property
    def wrong(self) -> list[CaseLine]:
        """The cases on which the kernel is wrong, the smallest first."""
        return self._lines(True)

    @property
    def right(self) -> list[CaseLine]:
        """The cases on which it is right, the smallest first."""
        return self._lines(False)

    @property
    def unknown(self) -> int:
        """How many were tried of which neither can be said, with no more samples than ``like``: more hide errors."""
        most = self.like.line.problem.samples
        return sum(fails is None and line.problem.samples <= most for line, fails in self.found.items())

    def add(self, lines: Iterable[CaseLine]) -> None:
        """Try ``lines``. Raises TimeUp."""
        for line in lines:
            if line not in self.found:
                self.found[line] = None
                self.found[line] = self.attempts.fails(line, self.like)

    def predicate(self, pool: Sequence[CaseLine], near: Callable[[], Sequence[CaseLine]]) -> Predicate | None:
        """The plainest that fits, when no case of ``pool`` and ``near`` tells it from others; None if none fits.

        ``near`` gives cases near to the border between right and wrong. Raises TimeUp.
        """
        known = {line: self.numbers(line) for line in pool}
        while fits := self.fitting():
            fresh = [line for line in near() if line not in self.found]
            known = {**{line: self.numbers(line) for line in fresh}, **known}
            question = self._question(fits, {line: row for line, row in known.items() if line not in self.found})
            if question is None:
                return fits[0]
            self.add([question])
        return None

    def stands(
        self, found: Predicate, table: Array, line_of: Callable[[int], CaseLine], rng: np.random.Generator, share: int
    ) -> bool:
        """Whether ``found`` holds on more cases, whose numbers are rows of ``table``; ``line_of`` gives that of a row.

        Where each takes long, one in ``share`` is tried. Limits are bisected along cases on which the other parts
        hold. Raises TimeUp.
        """
        for row in testing_points.bisecting(found, table, self.rows(self.right)):
            if self._contradicts(found, line_of(row)):
                return False
        tried = self.rows([*self.right, *self.wrong])
        return not any(
            self._contradicts(found, line_of(row)) for row in testing_points.chosen(found, table, tried, rng, share)
        )

    def _contradicts(self, found: Predicate, line: CaseLine) -> bool:
        self.add([line])
        return self.found[line] is (not found.holds(self.rows([line]))[0])

    def fitting(self) -> list[Predicate]:
        """The plainest predicates that fit all that was tried."""
        return fitting(self.columns, *self._table())[:RIVALS]

    def necessary(self) -> Predicate | None:
        """Where all is that is wrong, and little that is right; None where nothing says that."""
        table, wrong = self._table()
        if wrong.sum() < ENOUGH or wrong.all():
            return None
        return necessary(self.columns, table, wrong, ENOUGH)

    def _question(self, fits: Sequence[Predicate], known: dict[CaseLine, tuple[float, ...]]) -> CaseLine | None:
        """The case that decides between most of ``fits``, or one of a kind of which too few were tried."""
        if not known:
            return None
        lines, table = list(known), np.array(list(known.values()), float)
        best = fits[0].holds(table)
        unlike = np.sum([rival.holds(table) != best for rival in fits[1:]], axis=0) * np.ones(len(lines))
        worth = unlike * (len(fits) - unlike)  # most where either answer leaves half of them
        if not worth.any():
            tried = fits[0].sides(self._table()[0])
            for side, of_tried in zip(fits[0].sides(table), tried, strict=True):
                worth += side * (of_tried.sum() < ENOUGH)
        worth = worth / (CHEAP + np.array([line.problem.size for line in lines]))
        at = int(worth.argmax())
        return lines[at] if worth[at] > 0 else None

    def sure(self, predicate: Predicate) -> bool:
        """Whether some of all kinds were tried that ``predicate`` tells from each other."""
        return all(side.sum() >= ENOUGH for side in predicate.sides(self._table()[0]))

    def rows(self, lines: Sequence[CaseLine]) -> Array:
        """Their numbers, (lines, columns)."""
        return np.array([self.numbers(line) for line in lines], float).reshape(len(lines), len(self.columns))

    def nearest(self) -> list[CaseLine]:
        """The right cases that are most like a wrong one in shape, and those wrong ones."""
        found = {
            right: min(self.wrong, key=partial(_unlike, right))
            for right in self.right[:COMPARED] + self.right[-COMPARED:]
        }
        pairs = sorted(found.items(), key=lambda pair: _unlike(*pair))[:PAIRS]
        return list(dict.fromkeys(line for pair in pairs for line in pair))

    def _table(self) -> tuple[Array, Array]:
        """The numbers of what was tried, (P, columns), and whether it is wrong, (P,)."""
        lines = [line for line, fails in self.found.items() if fails is not None]
        return self.rows(lines), np.array([self.found[line] for line in lines], bool)

    def _lines(self, fails: bool) -> list[CaseLine]:
        return sorted((line for line, each in self.found.items() if each is fails), key=lambda line: line.problem.size)


def _unlike(one: CaseLine, other: CaseLine) -> float:
    """How much two shapes differ: the sum of the logarithms of the ratios of their axes."""
    shapes = zip(one.problem.canonical_shape, other.problem.canonical_shape, strict=True)
    return sum(abs(math.log(length / also)) for length, also in shapes)
