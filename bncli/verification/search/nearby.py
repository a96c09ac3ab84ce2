"""Cases like a WRONG one, of other shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from bncli.verification.search import call_history, memory_layouts, shapes
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.case_numbers import of_shape
from bncli.verification.search.learning import Learning
from bncli.verification.search.predicates import MULTIPLES
from bncli.verification.search.shrinking import SAMPLES, plain

Shape = tuple[int, int, int]
FEW, SOME = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12), (11, 13, 15, 16, 17, 20, 24, 31, 32, 33, 36, 48, 63, 64, 65, 96, 100)
MANY = (127, 128, 129, 160, 200, 255, 256, 257, 300, 384, 512, 513, 768, 1000, 1024, 1025, 2048, 2049, 4096, 5000)
KINDS = ((5, 3, 4), (6, 4, 1), (4, 4, 3), (7, 3, 3), (4, 7, 4), (1, 5, 9), (9, 1, 1), (8, 16, 1), (33, 5, 2))
DRAWN, CHECKS = 400, 30
LONG_AXIS = 4096  # an axis that is shorter is tried several times as long, and a little more
BLOCKS = (16, 32, 64)  # whose multiples are tried beyond a limit, where a kernel may be right again
TIMES = ((3, 0), (4, 0), (5, 0), (3, 1), *((2, more) for more in range(16)))  # a multiple of each number to 16
LONG, SLOWLY = 30, 2  # calls of a history that takes its time, and then so many cases of a kind
SMALL, LARGER = 1 << 14, 4  # elements, and times those of the smallest WRONG case


class Nearby:
    """Cases that differ from ``base`` in shape; each has a seed of its own."""

    def __init__(self, base: CaseLine) -> None:
        self.base = base
        self.most = max(SMALL, LARGER * base.problem.size)
        self.least = min(SAMPLES, base.problem.samples)
        self.rng = Random(f"{base}")
        self.slow = len(call_history.steps(base.history)) > LONG
        self.big = base.problem.size > SMALL

    def with_shape(self, shape: Shape) -> CaseLine:
        """``base`` with another canonical shape."""
        outer, features, inner = shape
        seed = (self.base.seed + 7919 * outer + 104729 * features + 611953 * inner) % (1 << 31)
        return replace(self.base, problem=plain(self.base.problem, shape), seed=seed)

    def first(self) -> list[CaseLine]:
        """One axis changed, and small shapes of all kinds."""
        base = self.base.problem.canonical_shape
        steps = (1,) if self.slow else (1, -1) if self.big else (1, 2, 3, -1)
        found = [_with(base, {axis: base[axis] + step}) for step in steps for axis in range(3)]
        return self._lines(found + list(KINDS[: SLOWLY if self.slow else None]))

    def pool(self, drawn: int = DRAWN) -> list[CaseLine]:
        """Shapes that may decide between two rules, and ``drawn`` ones."""
        base = self.base.problem.canonical_shape
        lengths = dict.fromkeys((*FEW, *SOME, *MANY, *MULTIPLES, *(3 * m for m in MULTIPLES)))
        found = [
            _with(base, {axis: base[axis] * times + step}) for axis in range(3) for times in FEW for step in (0, 1)
        ]
        for length in lengths if drawn == DRAWN else ():
            for axis in range(3):
                found.append(_with(base, {axis: length}))
                found.append(_with((4, 1, 1), {axis: length}))
                found.append(_with(self._small(), {axis: length}))
                found.append(_with(self._small(), dict.fromkeys({0, 1, 2} - {axis}, length)))
        return self._lines(found + [self._small() for _ in range(drawn)])

    def checks(self) -> list[CaseLine]:
        """Shapes as a search draws them."""
        rng = Random(f"{self.base} checks")
        return self._lines([shapes.draw(rng, rng.uniform(3, 11)) for _ in range(0 if self.slow else CHECKS)])

    def challenges(self, learning: Learning) -> list[CaseLine]:
        """As many elements as the smallest that are wrong have, and some more, along each axis and two; longer axes."""
        if not learning.wrong or self.slow:
            return []
        size = learning.wrong[0].problem.size * 5 // 4 + 3
        part = size // 4 + 1
        found = [(size, 1, 1), (1, size, 1), (1, 1, size), (part, 4, 1), (4, part, 1), (1, 4, part), (part, 1, 4)]
        found += [(4, 1, part), (part // 4 + 1, 4, 4)]
        wrong = learning.wrong[0].problem.canonical_shape
        for axis, long in enumerate(wrong):
            longer = [times * long + more for times, more in TIMES]
            longer += [(long // m + times) * m for m in BLOCKS for times in (1, 2)]
            longer = longer if 4 < long < LONG_AXIS else []
            found += [_with(shape, {axis: length}) for shape in ((4, 3, 2), wrong) for length in longer]
        return self._lines(found)

    def border(self, learning: Learning) -> list[CaseLine]:
        """Halfway between numbers of cases that are right and wrong."""
        return self._lines(list(self._border(learning)))

    def _border(self, learning: Learning) -> Iterator[Shape]:
        wrong, right = learning.wrong, learning.right
        if not wrong or not right:
            return
        shape = wrong[0].problem.canonical_shape
        # What is right because an axis is 1 says nothing of where the others begin to be wrong.
        right = [line for line in right if _long_axes(line) == _long_axes(wrong[0])] or right
        outer, features, inner = (min(length, 2) for length in shape)
        short = outer, features, inner
        largest = wrong[-1].problem.canonical_shape
        for at in range(5):
            of_wrong = sorted({of_shape(line)[at] for line in wrong})
            of_right = sorted({of_shape(line)[at] for line in right})
            below = [(value, of_wrong[0]) for value in of_right if value < of_wrong[0]]
            above = [(of_wrong[-1], value) for value in of_right if value > of_wrong[-1]]
            for low, high in below[-1:] + above[:1]:
                for target in dict.fromkeys((int(low + high) // 2, int(low) + 1, int(high) - 1)):
                    for start in (shape, largest, short, (1, 1, 1)):
                        yield from _reaching(start, at, target)

    def _small(self) -> Shape:
        return self.rng.choice(FEW), self.rng.choice(FEW), self.rng.choice(FEW)

    def _lines(self, found: Sequence[Shape]) -> list[CaseLine]:
        return [
            self.with_shape(shape)
            for shape in dict.fromkeys(found)
            if min(shape) > 0
            and shape[0] * shape[2] >= self.least
            and shape[0] * shape[1] * shape[2] <= self.most
            and memory_layouts.differs(self.base.memory, shape)
        ]


def _long_axes(line: CaseLine) -> tuple[bool, ...]:
    return tuple(length > 1 for length in line.problem.canonical_shape)


def _with(shape: Shape, lengths: dict[int, int]) -> Shape:
    outer, features, inner = (lengths.get(axis, old) for axis, old in enumerate(shape))
    return outer, features, inner


def _reaching(shape: Shape, at: int, target: int) -> Iterator[Shape]:
    """Shapes whose number ``at``, of those that ``of_shape`` gives, is ``target`` or little less: one axis differs."""
    for axis in ((0,), (1,), (2,), (0, 2), (0, 1, 2))[at]:
        rest = 1
        for other in ((), (), (), (0, 2), (0, 1, 2))[at]:
            rest *= shape[other] if other != axis else 1
        yield _with(shape, {axis: target // rest})
