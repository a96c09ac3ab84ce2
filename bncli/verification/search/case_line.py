"""A case in one line: the problem, what its arrays hold, how they lie in memory, and which calls are made."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from itertools import combinations

from bncli.core.kernel import PARAMETERS, Choice, gradients_of
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.verification.search import call_history, contents, memory_layouts

_COUNTS = ("threads", "repeats", "seed")
INPUTS = ("x", *PARAMETERS)
ALL = ",".join(INPUTS)
ASKED = [",".join(some) for count in range(1, len(INPUTS) + 1) for some in combinations(INPUTS, count)]
_COUNT = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A problem with its data, memory and call history.

    ``str(line)`` is what ``CaseLine.parse`` reads back, without the parts that have their default:
    ``48x7x5/channels-first/float32/eps=1e-05 gamma=ones dy=x1000 memory=x[::2] history=16f16b threads=2 seed=81``.
    ``data``, ``gamma``, ``beta`` and ``dy`` are words of ``contents``, ``memory`` of ``memory_layouts``, with commas
    between; ``history`` is read by ``call_history``. ``grads`` names the inputs whose gradients are asked for, of those
    that are not none. ``threads`` of 0 leaves their number to the kernel. The
    history is repeated ``repeats`` times. ``seed`` is what everything is drawn from.

    Raises InputError for a part that cannot be used.
    """

    problem: Problem
    data: str = contents.NORMAL
    gamma: str = contents.DRAWN
    beta: str = contents.DRAWN
    dy: str = contents.DRAWN
    memory: str = memory_layouts.CONTIGUOUS
    history: str = call_history.PLAIN
    grads: str = ALL
    threads: int = 0
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in contents.WORDS:
            contents.require(name, getattr(self, name))
        memory_layouts.require(self.memory)
        call_history.steps(self.history)
        if self.grads not in ASKED:
            raise InputError(f"cannot read grads={self.grads}: write some of {ALL}, in this order")
        if not self.choice.gradients:
            raise InputError(f"grads={self.grads} asks for the gradient of what is {contents.NONE}")
        if self.repeats < 1:
            raise InputError("repeats=0 calls nothing: use 1 or more")

    @classmethod
    def parse(cls, text: str) -> CaseLine:
        """The case that ``text`` describes. Raises InputError where a part is not understood."""
        problem, *parts = text.split() or [""]
        known = [field.name for field in fields(cls)][1:]
        given: dict[str, str | int] = {}
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals or name not in known:
                raise InputError(f"cannot read {part!r} in a case: write a part as {'=, '.join(known)}=")
            if name in given:
                raise InputError(f"a case gives {name} twice: {part!r} is the second")
            given[name] = _count(name, value) if name in _COUNTS else value
        return cls(Problem.parse(problem), **given)  # type: ignore[arg-type]

    @property
    def choice(self) -> Choice:
        """The parameters that are passed, and the gradients that are asked for."""
        parameters = tuple(name for name in PARAMETERS if getattr(self, name) != contents.NONE)
        asked = self.grads.split(",")
        return Choice(parameters, tuple(name for name in gradients_of(parameters) if name[1:] in asked))

    def holding(self, name: str, words: str) -> CaseLine:
        """This case, with other ``words`` on what the array ``name`` holds: data, gamma, beta or dy."""
        return replace(self, **{name: words})  # type: ignore[arg-type]

    def __str__(self) -> str:
        values = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        return " ".join([str(self.problem), *(f"{name}={now}" for name, now, default in values[1:] if now != default)])


def _count(name: str, value: str) -> int:
    if not _COUNT.fullmatch(value):
        raise InputError(f"cannot read {name}={value}: write a whole number")
    return int(value)
