"""Which calls a WRONG case needs, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bncli.verification.accuracy import GRADIENTS_OF_INFERENCE
from bncli.verification.search import call_history
from bncli.verification.search.attempts import Attempts
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.trial import Tried

# What the caller does between two calls, or which other calls are made.
DONE = {
    "w": "after new contents are written into the same arrays",
    "g": "after a new gamma and beta are written into the same arrays",
    "y": "after the caller writes into y",
    "o": "after calls on other shapes and dtypes",
    "e": "after calls with another epsilon",
}
CALLS = {
    "dx": "backward",
    "dgamma": "backward",
    "dbeta": "backward",
    **dict.fromkeys(("infer", *GRADIENTS_OF_INFERENCE), "inference"),
}
# Each with a count: calls in turn, one call again and again, and calls that wait for their backwards.
TURNS, AGAIN, WAITING, INFERRED, FORWARDS = "{0}(fb)", "f{0}b", "{0}f{0}b", "{0}i", "{0}f"
WORDS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def described(wrong: Sequence[CaseLine], attempts: Attempts, like: Tried) -> tuple[str, str]:
    """When it is wrong, and the nearest history that is right; two empty texts where that cannot be said."""
    history = like.line.history
    letters = [letter for letter in DONE if letter in history]
    if letters == ["w"]:
        own = replace(like.line, history=history.replace("w", "g"))
        letters = ["g"] if attempts.fails(own, like) else letters
    if letters:
        return (DONE[letters[0]], call_history.PLAIN) if len(letters) == 1 else ("", "")
    most = max(count for letter in "fbi" if (count := call_history.steps(history).count(letter)))
    call = CALLS.get(like.findings[0].array if like.findings else "", "forward")
    for kind, text in (
        (TURNS, f"from the {{ordinal}} {call} on"),
        (INFERRED, "from the {ordinal} inference on"),
        (FORWARDS, "when {number} or more forwards are made in a row"),
        (WAITING, "when {number} or more forwards come before their backwards"),
        (AGAIN, "from the {ordinal} backward of one forward on"),
    ):
        if count := _least(kind, most, wrong, attempts, like):
            return text.format(ordinal=_ordinal(count), number=_number(count)), kind.format(count - 1)
    return "", ""


def _least(kind: str, most: int, wrong: Sequence[CaseLine], attempts: Attempts, like: Tried) -> int:
    """The smallest count from which on the calls of ``kind`` are wrong, on every case; 0 if ``most`` are right."""

    def fails(count: int) -> bool:
        return all(attempts.fails(replace(line, history=kind.format(count)), like) for line in wrong)

    if most < 2 or not fails(most):
        return 0
    right = 1 if fails(most - 1) else most - 1
    while most - right > 1:
        middle = (right + most) // 2
        right, most = (right, middle) if fails(middle) else (middle, most)
    return most


def _number(count: int) -> str:
    return WORDS[count] if count < len(WORDS) else f"{count:,}"


def _ordinal(count: int) -> str:
    if count == 2:
        return "second"
    ending = "th" if count // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count:,}{ending}"
