"""What the calls of a case returned, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bncli.core.case import Case
from bncli.verification._contract.calls import same
from bncli.verification.finding import Finding
from bncli.verification.search import array_judge, oracle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass
class Answer:
    """What one call returned for the contents ``case``; ``at_once`` are copies taken before any later call."""

    call: str
    case: Case
    arrays: dict[str, Array]
    at_once: dict[str, Array] = field(default_factory=dict)


@dataclass
class Played:
    """What a history led to. ``written`` names the inputs that the kernel changed."""

    answers: list[Answer]
    written: list[str]
    single_use: bool


def judged(answers: Iterable[Answer]) -> Iterator[Finding]:
    """A finding for each array that ``answers`` hold."""
    training: dict[int, dict[str, oracle.Expected]] = {}  # by the case, which several of them share
    for answer in answers:
        if answer.call != "infer" and id(answer.case) not in training:
            training[id(answer.case)] = oracle.training(answer.case)
        yield from _judged(answer, training.get(id(answer.case), {}))


def _judged(answer: Answer, expected_of: dict[str, oracle.Expected]) -> Iterator[Finding]:
    if answer.call == "infer":
        expected = oracle.inference(answer.case)
        yield array_judge.judge("infer", answer.case, answer.arrays["infer"], expected)
        yield from array_judge.stays(answer.case, answer.arrays["infer"], expected)
        expected_of = oracle.gradients_of_inference(answer.case) if len(answer.arrays) > 1 else {}
        for name, of_name in expected_of.items():
            if name in answer.arrays:
                yield array_judge.judge(name, answer.case, answer.arrays[name], of_name)
        return
    for name, array in answer.arrays.items():
        yield array_judge.judge(name, answer.case, array, expected_of[name])
    yield from array_judge.spreads(answer.case, answer.arrays)


def overwritten(played: Played, wrong: Iterable[Finding]) -> str:
    """Which of the wrong arrays are no longer what was returned."""
    changed = {
        name
        for answer in played.answers
        for name, copy in answer.at_once.items()
        if not same(copy, answer.arrays[name])
    }
    names = [name for name in dict.fromkeys(finding.array for finding in wrong) if name in changed]
    return f"a later call overwrites {' and '.join(names)}" if names else ""
