"""Make the calls of a history on a kernel, and keep what they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel, types_of
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.errors import KernelFault
from bncli.verification import accuracy
from bncli.verification._contract.calls import same
from bncli.verification.search import call_history, memory_layouts
from bncli.verification.search.answers import Answer, Played

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# What a kernel may raise at the second backward of one forward: by the others it breaks, and does not refuse.
SINGLE_USE = (RuntimeError, ValueError, TypeError)
NAMES = ("x", "gamma", "beta", "dy", "mean", "var")


@dataclass
class _Forward:
    given: dict[str, Array]
    case: Case
    saved: Any
    y: Array
    answer: Answer


def play(
    kernel: Kernel,
    history: str,
    memory: str,
    epsilon: float,
    make: Callable[[int], Case],
    *,
    out: bool = False,
    whole: Kernel | None = None,
) -> Played:
    """Make the calls of ``history``. ``make`` gives the contents of a number, from 0 on.

    Calls on other problems are those of the ``whole`` kernel, where ``kernel`` is called without some parameters.
    With ``out``, the kernel is given arrays full of NaN to write into. Raises KernelFault where the kernel does.
    """
    player = _Player(kernel, whole or kernel, memory, epsilon, make, out)
    letters = call_history.steps(history)
    player.keep_copies = len(letters) > len(call_history.PLAIN)
    for letter in letters:
        getattr(player, f"_{letter}")()
    return Played(player.answers, player.written(), player.single_use)


class _Player:
    def __init__(
        self, kernel: Kernel, whole: Kernel, memory: str, epsilon: float, make: Callable[[int], Case], out: bool
    ) -> None:
        self.whole = whole
        self.kernel, self.memory, self.epsilon, self.make, self.out = kernel, memory, epsilon, make, out
        self.answers: list[Answer] = []
        self.pending: list[_Forward] = []
        self.latest: _Forward | None = None
        self.single_use = self.keep_copies = False
        self.number = 0
        self.sets: list[tuple[dict[str, Array], Case]] = []
        self._new_arrays(make(0))

    def written(self) -> list[str]:
        return list(
            dict.fromkeys(
                name for given, case in self.sets for name in given if not same(given[name], _contents(case, name))
            )
        )

    def _new_arrays(self, case: Case) -> None:
        self.case, self.used = case, False
        self.given = {name: memory_layouts.place(name, _contents(case, name), self.memory) for name in NAMES}
        self.sets.append((self.given, case))

    def _f(self) -> None:
        if self.used:
            self.number += 1
            self._new_arrays(self.make(self.number))
        self.used = True
        x, gamma, beta = self._shown("x", "gamma", "beta")
        out = {"out": np.full(x.shape, np.nan, x.dtype)} if self.out else {}
        y, saved = self.kernel.forward(x, gamma, beta, self.epsilon, **out)
        answer = self._answer("forward", {"y": out.get("out", y), **accuracy.statistics(saved, self.case)})
        for name in accuracy.STATISTICS:
            if name in answer.arrays:  # what saved holds is the kernel's own, to be changed later as it likes
                answer.arrays[name] = answer.arrays[name].copy()
        self.latest = _Forward(self.given, self.case, saved, answer.arrays["y"], answer)
        self.pending.append(self.latest)

    def _b(self) -> None:
        again = not self.pending
        forward = self.pending.pop() if self.pending else self.latest
        assert forward is not None  # call_history.steps has looked
        dy = memory_layouts.shown(forward.given["dy"], self.memory)
        gamma = forward.given["gamma"]
        into = Gradients(*(np.full(like.shape, np.nan, like.dtype) for like in (dy, gamma, gamma)))
        try:
            found = Gradients(*self.kernel.backward(dy, forward.saved, **({"out": into} if self.out else {})))
        except KernelFault as fault:
            if not again or not isinstance(fault.__cause__, SINGLE_USE):
                raise
            self.single_use = True
            return
        given = (into if self.out else found)._asdict()
        self._answer("backward", {name: given[name] for name in self.kernel.gradients}, forward.case)

    def _i(self) -> None:
        if self.kernel.infer is None:
            return
        x, gamma, beta, mean, var = self._shown("x", "gamma", "beta", "mean", "var")
        out = {"out": np.full(x.shape, np.nan, x.dtype)} if self.out else {}
        if self.kernel.infer_forward is None or self.kernel.infer_backward is None:
            y = self.kernel.infer(x, gamma, beta, mean, var, self.epsilon, **out)
            self._answer("infer", {"infer": out.get("out", y)})
            return
        y, saved = self.kernel.infer_forward(x, gamma, beta, mean, var, self.epsilon, **out)
        (dy,) = self._shown("dy")
        into = Gradients(*(np.full(like.shape, np.nan, like.dtype) for like in (dy, gamma, gamma)))
        found = self.kernel.infer_backward(dy, saved, **({"out": into} if self.out else {}))
        gradients = zip(accuracy.GRADIENTS_OF_INFERENCE, into if self.out else found, strict=True)
        judged = {name: array for name, array in gradients if accuracy.is_judged(self.kernel, name)}
        self._answer("infer", {"infer": out.get("out", y), **judged})

    def _w(self) -> None:
        self._write(NAMES)

    def _g(self) -> None:
        self._write(("gamma", "beta"))

    def _write(self, names: Sequence[str]) -> None:
        """Forwards that wait for a backward are given up: their arrays are no longer what they were."""
        self.number += 1
        case = self.make(self.number)
        case = replace(case, **{n: getattr(self.case, n) for n in ("x", "dy", "mean", "var") if n not in names})
        for name in names:
            self.given[name][...] = _contents(case, name)
        self.sets = [(given, case if given is self.given else old) for given, old in self.sets]
        self.case, self.used = case, False
        self.pending.clear()

    def _y(self) -> None:
        if self.latest is not None and self.latest.y.flags.writeable:
            self.latest.answer.arrays["y"] = self.latest.y.copy()
            self.latest.y[...] = np.maximum(self.latest.y, 0)

    def _o(self) -> None:
        outer, features, inner = self.case.problem.canonical_shape
        own = self.case.problem.types
        others = [types for types in types_of(self.kernel) if types != own]
        larger, smaller = (2 * outer + 1, features + 3, inner + 1), (outer // 2 + 2, features, inner // 2 + 1)
        for shape, types in ((larger, own), (larger, (others or [own])[0]), (smaller, own)):
            dtype, _, params = types.partition("/params=")
            self._aside(Problem(shape, Layout.CHANNELS_FIRST, dtype, self.epsilon, params))

    def _e(self) -> None:
        self._aside(replace(self.case.problem, epsilon=1.0 if self.epsilon < 0.1 else 1e-3))

    def _aside(self, problem: Problem) -> None:
        """Calls whose results nobody looks at."""
        rng = np.random.default_rng(problem.size)
        x = (rng.standard_normal(problem.canonical_shape, np.float32) + 1).astype(problem.dtype)
        gamma, beta = (rng.standard_normal(problem.features).astype(problem.dtype_of("gamma")) for _ in range(2))
        _, saved = self.whole.forward(x, gamma, beta, problem.epsilon)
        self.whole.backward(x[::-1].copy(), saved)
        if self.whole.infer is not None:
            self.whole.infer(x, gamma, beta, beta, np.abs(gamma) + beta.dtype.type(1), problem.epsilon)

    def _shown(self, *names: str) -> list[Array]:
        return [memory_layouts.shown(self.given[name], self.memory) for name in names]

    def _answer(self, call: str, arrays: dict[str, Array], case: Case | None = None) -> Answer:
        copies = {name: array.copy() for name, array in arrays.items()} if self.keep_copies else {}
        answer = Answer(call, case or self.case, arrays, copies)
        self.answers.append(answer)
        return answer


def _contents(case: Case, name: str) -> Array:
    array = getattr(case, name)
    assert isinstance(array, np.ndarray)  # for the type checker: a case of a search has its mean and var
    return array
