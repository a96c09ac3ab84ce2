"""From a WRONG case to the smallest and plainest that is wrong in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.verification.search import call_history, contents, memory_layouts
from bncli.verification.search.attempts import Attempts, TimeUp, alike, clear
from bncli.verification.search.case_line import ALL, INPUTS, CaseLine
from bncli.verification.search.trial import Tried

WIDE, EPSILON = "float64", 1e-5
SAMPLES, FEATURES = 6, 3  # at least, where the first case has as many: fewer show too little of what is wrong
PRIMES = (2, 3, 5, 7, 11, 13)
AXES = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))  # those of several are equal, and stay so
PLAIN_SHAPES = ((8, 4, 1), (6, 5, 3), (5, 3, 4))


def shrunk(wrong: Tried, attempts: Attempts) -> Tried:
    """The smallest case that is wrong as ``wrong`` is, or the smallest that was found before the time was up."""
    shrinking = _Shrinking(wrong, attempts)
    try:
        shrinking.make_plain()
        shrinking.make_small()
        shrinking.make_plain()
    except TimeUp:
        pass
    return shrinking.smallest


class _Shrinking:
    def __init__(self, wrong: Tried, attempts: Attempts) -> None:
        self.wrong, self.smallest, self.attempts = wrong, wrong, attempts

    @property
    def line(self) -> CaseLine:
        return self.smallest.line

    def accepts(self, line: CaseLine) -> bool:
        """Go on from ``line`` if it is wrong in the same way."""
        if line == self.line:
            return False
        tried = self.attempts.run(line)
        if not alike(tried, self.wrong) or (clear(self.smallest) and not clear(tried)):
            return False
        self.smallest = tried
        return True

    def make_plain(self) -> None:
        self._history()
        for word in memory_layouts.words(self.line.memory):
            self.accepts(replace(self.line, memory=_without(memory_layouts.words(self.line.memory), word)))
        for name, default in contents.DEFAULTS.items():
            if not self.accepts(self.line.holding(name, default)):
                for word in getattr(self.line, name).split(","):
                    kept = [each for each in getattr(self.line, name).split(",") if each != word]
                    if kept:
                        self.accepts(self.line.holding(name, ",".join(kept)))
        self._ask_for_more()
        self._changes(threads=0)
        problem = self.line.problem
        if WIDE in self.attempts.kernel.dtypes:
            self._problem(replace(problem, dtype=WIDE, params=""))
        self._problem(replace(self.line.problem, epsilon=EPSILON))
        self._problem(plain(self.line.problem, self.line.problem.canonical_shape))

    def _ask_for_more(self) -> None:
        """All gradients, or one more and again one more."""
        if self._changes(grads=ALL):
            return
        for name in INPUTS:
            asked = {name, *self.line.grads.split(",")}
            self._changes(grads=",".join(each for each in INPUTS if each in asked))

    def make_small(self) -> None:
        self._flatten()
        for shape in PLAIN_SHAPES:
            if shape[0] * shape[1] * shape[2] < self.line.problem.size and self._shape(shape):
                break
        before = None
        while before != self.line:
            before = self.line
            self._flatten()
            for axes in AXES:
                self._shorten(axes)

    def _flatten(self) -> None:
        """As many samples along one axis."""
        outer, features, inner = self.line.problem.canonical_shape
        if inner > 1:
            self._shape((outer * inner, features, 1))

    def _shorten(self, axes: tuple[int, ...]) -> None:
        """Take from axes that are equal, and as long as that fails from there on, ever less."""
        if len({self.line.problem.canonical_shape[axis] for axis in axes}) > 1:
            return
        long = self.line.problem.canonical_shape[axes[0]]
        for least in (1, 2):
            if long > least and self._shape(self._with(axes, least)):
                return
        for prime in PRIMES:  # what fails at multiples of a number does so at their divisors, and not in between
            while (now := self.line.problem.canonical_shape[axes[0]]) % prime == 0:
                if not self._shape(self._with(axes, now // prime)):
                    break
        step = self.line.problem.canonical_shape[axes[0]] // 2
        while step:
            now = self.line.problem.canonical_shape[axes[0]]
            if not (now > step and self._shape(self._with(axes, now - step))):
                step //= 2

    def _with(self, axes: tuple[int, ...], length: int) -> tuple[int, int, int]:
        outer, features, inner = (
            length if axis in axes else old for axis, old in enumerate(self.line.problem.canonical_shape)
        )
        return outer, features, inner

    def _shape(self, shape: tuple[int, int, int]) -> bool:
        least = min(SAMPLES, self.wrong.line.problem.samples)
        enough = shape[0] * shape[2] >= least and shape[1] >= min(FEATURES, self.wrong.line.problem.features)
        return enough and self._problem(plain(self.line.problem, shape))

    def _problem(self, problem: Problem) -> bool:
        return self._changes(problem=problem)

    def _changes(self, **changes: object) -> bool:
        return self.accepts(replace(self.line, **changes))  # type: ignore[arg-type]

    def _history(self) -> None:
        """To other calls only where each case has a kernel of its own: else earlier calls may be what makes it fail."""
        if not self.attempts.load or self._changes(history=call_history.PLAIN):
            return
        if not self.attempts.own or self.line.history == call_history.PLAIN:
            return
        for count in dict.fromkeys(count for count, _ in call_history.parts(self.line.history)):
            self._repeat_less(count)
        while any(self._changes(history=history) for history in _shorter(self.line.history)):
            pass

    def _repeat_less(self, most: int) -> None:
        """All parts of the history that are repeated so often, as seldom as fails: what does once is assumed to."""
        least, parts = 0, call_history.parts(self.line.history)
        while most - least > 1:
            middle = (least + most) // 2
            fewer = call_history.written([(middle if count == most else count, each) for count, each in parts])
            if self._changes(history=fewer):
                most, parts = middle, call_history.parts(fewer)
            else:
                least = middle


def _shorter(history: str) -> Iterator[str]:
    """Histories of fewer calls, those of the fewest first, that can be read."""
    parts = call_history.parts(history)
    for i, (count, letters) in enumerate(parts):
        others = [[], *([(less, letters)] for less in dict.fromkeys((1, count - 1)) if 0 < less < count)]
        others += [[(count, letters[:j] + letters[j + 1 :])] for j in range(len(letters)) if len(letters) > 1]
        for other in others:
            text = call_history.written([*parts[:i], *other, *parts[i + 1 :]])
            if call_history.readable(text):
                yield text


def _without(words: list[str], word: str) -> str:
    return ",".join(each for each in words if each != word) or memory_layouts.CONTIGUOUS


def plain(problem: Problem, shape: tuple[int, int, int]) -> Problem:
    """``problem`` with the canonical ``shape``, in the plainest layout that has it."""
    layout = Layout.PER_ACTIVATION if shape[2] == 1 else Layout.CHANNELS_FIRST
    return replace(problem, layout=layout, shape=shape[:2] if shape[2] == 1 else shape)
