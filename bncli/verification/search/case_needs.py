"""What else a WRONG case needs, its shape aside: its dtype, contents, memory, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bncli.core.kernel import PARAMETERS
from bncli.verification._diagnosis.wording import verb
from bncli.verification.search import call_history, contents, histories, memory_layouts
from bncli.verification.search.attempts import Attempts, hides
from bncli.verification.search.case_line import ALL, INPUTS, CaseLine
from bncli.verification.search.resized import EPSILONS
from bncli.verification.search.shrinking import EPSILON
from bncli.verification.search.trial import Tried

FIXED = {
    ("data", "outlier"): "where x has an outlier",
    ("data", "outlier-first"): "where the first sample is an outlier",
    ("data", "outlier-last"): "where the last sample is an outlier",
    ("data", "constant"): "where x is constant within each feature",
    ("data", "nearly-constant"): "where x is nearly constant within each feature",
    ("data", "grid"): "where x holds whole numbers from 0 to 255",
    ("data", "subnormal"): "where x is subnormal",
    ("data", "skewed"): "where x is skewed",
    ("data", "nan"): "where x holds NaN",
    ("data", "inf"): "where x holds an infinity",
    ("gamma", "ones"): "where gamma is 1 everywhere",
    ("gamma", "zeros"): "where gamma is 0 everywhere",
    ("gamma", "one-zero"): "where one gamma is 0",
    ("gamma", "negative"): "where every gamma is negative",
    ("gamma", "positive"): "where every gamma is positive",
    ("beta", "zeros"): "where beta is 0 everywhere",
    ("dy", "noise"): "where dy is noise",
    ("dy", "no-mean"): "where dy has a mean of 0",
}
MEMORY = {
    ":fortran": "in Fortran order",
    ":channels-last": "in channels-last memory",
    ":misaligned": "not aligned",
    memory_layouts.READ_ONLY: "where the inputs are read-only",
    memory_layouts.OUT: "where out is given",
}
STRIDED = [layout for layout in memory_layouts.LAYOUTS if layout not in memory_layouts.DENSE]
ZEROS, TINY = ("zeros", "one-zero"), "x1e-9"  # of gamma: where a tiny one is wrong too, it is not the 0 that matters
LARGE = "x1e6"  # where x without an outlier is wrong too
THREADS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Condition:
    """``text`` says where; ``without`` gives a case as it is where that is not so."""

    text: str
    without: Callable[[CaseLine], CaseLine]


class NoCondition(Exception):
    """What a case needs was not found."""


def conditions(wrong: Sequence[CaseLine], attempts: Attempts, like: Tried, sized: bool) -> Iterator[Condition]:
    """Of ``wrong`` cases that differ in shape, what else they need; not what numbers they hold, if ``sized``.

    Raises NoCondition where it cannot be said, and TimeUp.
    """
    base = like.line
    yield from _left_out(base)
    for name, default in contents.DEFAULTS.items():
        words = getattr(base, name)
        if not sized and words not in (default, contents.NONE) and not _only_shows(name, words, attempts, like):
            text = " and ".join(_contents(name, word) for word in words.split(","))
            if words in contents.NOT_FINITE and all(
                attempts.fails(base.holding(name, other), like) for other in contents.NOT_FINITE
            ):
                text = "where x holds NaN or an infinity"
            if words.startswith("outlier") and attempts.fails(base.holding(name, LARGE), like):
                text = "where |x| is large"
            yield Condition(text, partial(CaseLine.holding, name=name, words=default))
    if not sized and base.gamma in ZEROS and attempts.fails(base.holding("gamma", TINY), like):
        raise NoCondition
    if not sized and base.problem.epsilon != EPSILON:
        yield Condition(_epsilons(attempts, like), partial(_with_epsilon, EPSILON))
    elif not sized and all(attempts.fails(_with_epsilon(epsilon, base), like) is False for epsilon in EPSILONS[-2:]):
        yield Condition(_epsilons(attempts, like), partial(_with_epsilon, EPSILONS[-1]))
    if base.memory != memory_layouts.CONTIGUOUS:
        yield Condition(_memory(wrong, attempts, like), _changing(memory=memory_layouts.CONTIGUOUS))
    if base.threads:
        fails = {count: attempts.fails(replace(base, threads=count), like) for count in THREADS}
        several = not fails[1] and all(fails[count] for count in THREADS[1:])
        said = "more than one thread" if several else f"{base.threads} threads"
        yield Condition(f"with {said}", _changing(threads=1))
    if base.history != call_history.PLAIN:
        text, without = histories.described(wrong, attempts, like)
        if not text:
            raise NoCondition
        yield Condition(text, _changing(history=without))
    yield from _types(wrong, attempts, like)


def _left_out(base: CaseLine) -> Iterator[Condition]:
    """The parameters that are none, and the gradients that are not asked for."""
    if none := [name for name in PARAMETERS if getattr(base, name) == contents.NONE]:
        drawn = {name: contents.DEFAULTS[name] for name in none}
        yield Condition(f"where {' and '.join(none)} {verb(none, 'are')} None", _changing(**drawn))
    if base.grads != ALL:
        others = [name for name in INPUTS if name not in base.grads.split(",")]
        said = f"the gradient{'s' * (len(others) > 1)} of {' and '.join(others)} {verb(others, 'are')} not asked for"
        yield Condition(f"where {said}", _changing(grads=ALL))


def _only_shows(name: str, words: str, attempts: Attempts, like: Tried) -> bool:
    """Whether a beta of 0 shows what a tiny one shows too: a larger one hides it."""
    if (name, words) != ("beta", "zeros"):
        return False
    tiny = float(np.finfo("float64" if like.line.problem.dtype == "float64" else "float32").tiny)
    return attempts.fails(like.line.holding(name, f"x{tiny:.0e}"), like) is True


def _contents(name: str, word: str) -> str:
    array = "x" if name == "data" else name
    if word[0] == "x":
        return f"where |{array}| is about {word[1:]}"
    if word[0] == "+":
        return f"where {array} lies about {word[1:]} from 0"
    return FIXED.get((name, word), f"with {name}={word}")


def _epsilons(attempts: Attempts, like: Tried) -> str:
    """On which side of what the kernel is wrong, if on one."""
    base = like.line.problem.epsilon
    each = sorted({*EPSILONS, base, EPSILON})
    wrong = [
        epsilon for epsilon in each
        if attempts.fails(replace(like.line, problem=replace(like.line.problem, epsilon=epsilon)), like)
    ]  # fmt: skip
    if len(wrong) > 1 and wrong == each[: len(wrong)]:
        return f"where epsilon is {wrong[-1]:g} or less"
    if len(wrong) > 1 and wrong == each[-len(wrong) :]:
        return f"where epsilon is {wrong[0]:g} or more"
    return f"where epsilon is {base:g}"


def _with_epsilon(epsilon: float, line: CaseLine) -> CaseLine:
    return replace(line, problem=replace(line.problem, epsilon=epsilon))


def _changing(**changes: object) -> Callable[[CaseLine], CaseLine]:
    return lambda line: replace(line, **changes)  # type: ignore[arg-type]


def _memory(wrong: Sequence[CaseLine], attempts: Attempts, like: Tried) -> str:
    """Of which array, and in which layouts."""
    said = []
    for word in memory_layouts.words(like.line.memory):
        name, layout = memory_layouts.WORDS.get(word, ("", word))
        if not name:
            said.append(MEMORY[layout])
            continue
        fitting = [other for other in STRIDED if f"{name}{other}" in memory_layouts.WORDS]
        # Of the shapes that are wrong, one in which each layout is another.
        line = max(wrong, key=lambda line: (min(*line.problem.canonical_shape, 4), -line.problem.size))
        others = {other: attempts.fails(_replaced(line, word, f"{name}{other}"), like) for other in fitting}
        same = [other for other in fitting if others[other]]
        if layout in STRIDED and same == fitting:
            said.append(f"where {name} is not contiguous")
        else:
            which = " or ".join(_layout(name, other) for other in (same if layout in same else [layout]))
            said.append(f"where {name} is {which}")
    return " and ".join(said)


def _replaced(line: CaseLine, word: str, by: str) -> CaseLine:
    words = [by if each == word else each for each in memory_layouts.words(line.memory)]
    return replace(line, memory=",".join(words))


def _layout(name: str, layout: str) -> str:
    return MEMORY.get(layout) or f"{name}{layout}"


def _types(wrong: Sequence[CaseLine], attempts: Attempts, like: Tried) -> Iterator[Condition]:
    """The dtypes that it is wrong in, if it is right in another, and not because rounding may hide it there."""
    if "subnormal" in like.line.data.split(","):
        return  # which numbers are differs with the dtype, and so does what shows
    right, own = [], []
    for types in attempts.types:
        shown = [line for line in wrong if not hides(_in(types, line).problem, attempts.run(line))]
        fails = [attempts.fails(_in(types, line), like) for line in shown]
        if True in fails or types == like.line.problem.types:
            own.append(types.replace("/params=", " with parameters of "))
        elif fails and not any(each is None for each in fails):
            right.append(types)
    if right:
        yield Condition(f"in {' and '.join(own)}", lambda line: _in(right[0], line))


def _in(types: str, line: CaseLine) -> CaseLine:
    dtype, _, params = types.partition("/params=")
    return replace(line, problem=replace(line.problem, dtype=dtype, params=params))
