"""Check a pass again after it has been timed: what was timed must have been the work, done anew each time."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking.buffers import Place, digest
from bncli.benchmarking.judging import Judged, Space, fault, raised
from bncli.benchmarking.passes import GIVEN, Pass, named
from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.rows.times import FRESH
from bncli.loading.guard import guarded, watched
from bncli.verification import accuracy, inexact
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]
Alive = list[tuple[str, Array]]  # results, by name, that are held at once

MOST_IN_A_ROW = 16  # copies
TRIES = 3  # exchanges of two elements: a key of some elements may miss those of one; of many elements it hardly does
MOST_ALIVE = 17  # results that are held at once; more than a ring of buffers usually has
FEWEST_ALIVE = 3  # the checks before leave as many
ALIVE_BYTES = 64 << 20  # of large arrays that are held at once, unless these are fewer than FEWEST_ALIVE


def after(judged: Judged, kernel: Kernel, space: Space, repeats: int) -> Finding | None:
    """The failure of a result after ``repeats`` calls, as in a sample; None if there is none.

    The last of these calls is judged itself: a kernel might skip its work where calls follow each other quickly. Then
    the inputs change in place: results that do not follow were cached. Fresh results must lie in memory of their own.
    """
    try:
        with watched(kernel, judged.timed.key.direction):
            last = _last_of(judged.timed, space, repeats)
        digests, alive = _digests(last), _kept_alive(judged.timed, last)
        unknown = {name: array for name, array in last.items() if digests[name] != judged.digests.get(name)}
        return (
            _wrong(kernel, space.inputs.copies[0], unknown)
            or _cached(judged.timed, kernel, space, last, digests, alive)
            or _kept(judged.timed, kernel, space, alive)
            or _in_turns(judged.timed, kernel, space, alive)
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


def _wrong(kernel: Kernel, case: Case, found: Mapping[str, Array]) -> Finding | None:
    """The failure of one of the results."""
    if not found:
        return None
    if "infer" in found:  # verified with other statistics than the timed ones
        findings = accuracy.check_inference(guarded(kernel), case)
    else:
        findings = accuracy.judge(kernel, case, found)
    findings = inexact.settle(case, findings, partial(inexact.passes, guarded(kernel)))
    return next((each for each in findings if each.verdict.fails), None)


def _cached(
    timed: Pass, kernel: Kernel, space: Space, last: Mapping[str, Array], digests: Mapping[str, int], alive: Alive
) -> Finding | None:
    """The finding on cached results: the ``last`` keep their bits after an exchange of two samples that differ."""
    large, array = _largest(last)
    for _ in range(1 if space.inputs.large else TRIES):
        with space.inputs.exchanged("dy" if timed.key.direction == "backward" else "x") as places:
            before = _bits(array, places)
            found = _results(timed, space, alive)
            after = _bits(found[large], places)
        # Where these two values are others, no digests are needed, which take long for large arrays.
        if len(set(before)) > 1 and before == after and _digests(found) == digests:
            return fault(kernel, large, "it is the same for other contents of the same arrays, so it was cached")
    return None


def _bits(array: Array, places: Sequence[Place] | None) -> list[bytes]:
    return [array[place].tobytes() for place in places or ()]


def _kept(timed: Pass, kernel: Kernel, space: Space, alive: Alive) -> Finding | None:
    """The finding on a feature whose results are wrong once its x, or its dy, is half as large: something was kept."""
    if timed.key.direction == "infer":
        return None
    feature, inputs = 0, space.inputs
    names = ("x",) if timed.key.direction == "forward" else ("x", "dy")
    for halved in [names] if inputs.large else [(name,) for name in names]:
        with ExitStack() as stack:
            for name in halved:
                stack.enter_context(inputs.halved(name, feature))
            found = {each: _of(feature, array) for each, array in _results(timed, space, alive).items()}
            case = inputs.copies[0].select(np.array([feature]))
            findings = accuracy.judge(kernel, case, found)
        if wrong := next((each for each in findings if each.verdict is Verdict.WRONG), None):
            said = f"{' and '.join(halved)} {'are' if len(halved) > 1 else 'is'} half as large"
            reason = f"it is wrong once {said}, so something of an earlier call was kept"
            return fault(kernel, wrong.array, reason)
    return None


def _of(feature: int, array: Array) -> Array:
    own = slice(feature, feature + 1)
    return np.ascontiguousarray(array[:, own] if array.ndim == 3 else array[own])


def _in_turns(timed: Pass, kernel: Kernel, space: Space, alive: Alive) -> Finding | None:
    """The finding on fresh results that share memory while they are all alive: buffers that are used in turns."""
    if timed.key.outputs != FRESH:
        return None
    while len(alive) < max(FEWEST_ALIVE, min(MOST_ALIVE, ALIVE_BYTES // space.inputs.copies[0].x.nbytes)):
        _results(timed, space, alive)
    for (_, earlier), (name, array) in combinations(alive, 2):
        if np.may_share_memory(earlier, array):
            reason = (
                "it lies in the memory of an earlier result, so it is no fresh output: take out=, for --outputs given"
            )
            return fault(kernel, name, reason)
    return None


def _largest(found: Mapping[str, Array]) -> tuple[str, Array]:
    """The last of the arrays of x's size, and its name: y or dx."""
    return [(name, array) for name, array in found.items() if array.ndim == 3][-1]


def _digests(found: Mapping[str, Array]) -> dict[str, int]:
    return {name: digest(array) for name, array in found.items()}


def _results(timed: Pass, space: Space, alive: Alive) -> Mapping[str, Array]:
    """The results of a call; the large one of fresh outputs is kept in ``alive``."""
    _poison(timed, space)
    found = timed.results()
    alive += _kept_alive(timed, found)
    return found


def _kept_alive(timed: Pass, found: Mapping[str, Array]) -> Alive:
    return [_largest(found)] if timed.key.outputs == FRESH else []


def _poison(timed: Pass, space: Space) -> None:
    if timed.key.outputs == GIVEN:
        space.outputs[0].poison()
