"""Check a pass again after it has been timed: what was timed must have been the work, done anew each time."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking.buffers import digest
from bncli.benchmarking.judging import Judged, Space, fault, raised
from bncli.benchmarking.passes import GIVEN, Pass, named
from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.rows.times import FRESH
from bncli.loading.guard import guarded, watched
from bncli.verification import accuracy, inexact
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]

MOST_IN_A_ROW = 16  # copies
TRIES = 3  # exchanges of two elements: a key of some elements may miss those of one
MOST_ALIVE = 17  # results that are held at once; more than a ring of buffers usually has
FEWEST_ALIVE = 5
ALIVE_BYTES = 64 << 20  # of large arrays that are held at once, unless these are fewer than FEWEST_ALIVE


def after(judged: Judged, kernel: Kernel, space: Space, repeats: int) -> Finding | None:
    """The failure of a result after ``repeats`` calls, as in a sample; None if there is none.

    The last of these calls is judged itself: a kernel might skip its work where calls follow each other quickly. Then
    the inputs change in place: results that do not follow were cached. Fresh results must lie in memory of their own.
    """
    try:
        with watched(kernel, judged.timed.key.direction):
            last = _last_of(judged.timed, space, repeats)
        return (
            _wrong(kernel, space.inputs.copies[0], last, judged.digests)
            or _cached(judged.timed, kernel, space)
            or _kept(judged.timed, kernel, space)
            or _in_turns(judged.timed, kernel, space)
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001, a kernel may raise anything
        return raised(kernel, error)


def _last_of(timed: Pass, space: Space, repeats: int) -> dict[str, Array]:
    """The results on the first copy after ``repeats`` calls in a row on several copies, itself with other contents."""
    makes = timed.makes[:MOST_IN_A_ROW]
    assert timed.anew is not None  # for the type checker: it was timed
    last = timed.anew()
    space.inputs.alter(0)
    for _ in range(-(-repeats // len(makes))):
        for each in [make() for make in makes]:
            each.run()
    space.inputs.restore()
    _poison(timed, space)
    return named(timed.key.direction, last.run())


def _wrong(kernel: Kernel, case: Case, found: Mapping[str, Array], right: Mapping[str, int]) -> Finding | None:
    """The failure of one of the results; one whose digest is in ``right`` was verified before."""
    other = {name: array for name, array in found.items() if digest(array) != right.get(name)}
    if "infer" in other:  # verified with other statistics than the timed ones
        findings = accuracy.check_inference(guarded(kernel), case)
    else:
        findings = accuracy.judge(kernel, case, other)
    findings = inexact.settle(case, findings, partial(inexact.passes, guarded(kernel)))
    return next((each for each in findings if each.verdict.fails), None)


def _cached(timed: Pass, kernel: Kernel, space: Space) -> Finding | None:
    """The finding on cached results: they keep their bits after an exchange of two samples with different results."""
    found = _results(timed, space)
    large, array = _largest(found)
    before, digests = array.copy(), _digests(found)
    for _ in range(TRIES):
        with space.inputs.exchanged("dy" if timed.key.direction == "backward" else "x") as places:
            same = _digests(_results(timed, space)) == digests
        if same and places and before[places[0]] != before[places[1]]:
            return fault(kernel, large, "it is the same for other contents of the same arrays, so it was cached")
    return None


def _kept(timed: Pass, kernel: Kernel, space: Space) -> Finding | None:
    """The finding on a feature whose results are wrong once its x, or its dy, is half as large: something was kept."""
    if timed.key.direction == "infer":
        return None
    feature, inputs = 0, space.inputs
    for name in ("x",) if timed.key.direction == "forward" else ("x", "dy"):
        with inputs.halved(name, feature):
            found = {each: _of(feature, array) for each, array in _results(timed, space).items()}
            case = inputs.copies[0].select(np.array([feature]))
            findings = accuracy.judge(kernel, case, found)
        if wrong := next((each for each in findings if each.verdict is Verdict.WRONG), None):
            reason = f"it is wrong once {name} is half as large, so something of an earlier call was kept"
            return fault(kernel, wrong.array, reason)
    return None


def _of(feature: int, array: Array) -> Array:
    own = slice(feature, feature + 1)
    return np.ascontiguousarray(array[:, own] if array.ndim == 3 else array[own])


def _in_turns(timed: Pass, kernel: Kernel, space: Space) -> Finding | None:
    """The finding on fresh results that share memory while they are all alive: buffers that are used in turns."""
    if timed.key.outputs != FRESH:
        return None
    alive: list[Array] = []
    for _ in range(max(FEWEST_ALIVE, min(MOST_ALIVE, ALIVE_BYTES // space.inputs.copies[0].x.nbytes))):
        name, array = _largest(_results(timed, space))
        if any(np.may_share_memory(array, other) for other in alive):
            reason = (
                "it lies in the memory of an earlier result, so it is no fresh output: take out=, for --outputs given"
            )
            return fault(kernel, name, reason)
        alive.append(array)
    return None


def _largest(found: Mapping[str, Array]) -> tuple[str, Array]:
    """The last of the arrays of x's size, and its name: y or dx."""
    return [(name, array) for name, array in found.items() if array.ndim == 3][-1]


def _digests(found: Mapping[str, Array]) -> list[int]:
    return [digest(array) for array in found.values()]


def _results(timed: Pass, space: Space) -> Mapping[str, Array]:
    _poison(timed, space)
    return timed.results()


def _poison(timed: Pass, space: Space) -> None:
    if timed.key.outputs == GIVEN:
        space.outputs[0].poison()
