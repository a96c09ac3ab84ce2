"""Run the checks of a layer, and give a finding for each of their groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from bncli.core.kernel import Kernel
from bncli.loading.guard import described, quiet
from bncli.verification.finding import Finding, Verdict
from bncli.verification.layers import (
    eval_mode,
    layer_copies,
    layer_options,
    layer_state,
    running_conventions,
    training_mode,
    update_rule,
)
from bncli.verification.layers.running_conventions import NEW, Rule
from bncli.verification.layers.subject import SIZES, TOLERANCE, Subject, tracks

METHOD = "layer"
RUNNING = "running statistics"
TRAINING, EVAL, STATE, COPIES, OPTIONS = "training mode", "eval mode", "layer state", "copies", "options"
NONE = "the layer tracks no running statistics"

Check = Callable[[Subject], Iterator[str]]


def check(kernel: Kernel, dtype: str, seed: int, required: str = "") -> list[Finding]:
    """A finding for each group of checks of the layers of ``kernel``, empty for a kernel that is no layer.

    ``array`` is the group. ``required`` is the convention that the running statistics must follow, a key of
    ``running_conventions.REQUIRABLE``; empty: any.
    """
    if kernel.layer is None or dtype not in TOLERANCE:
        return []
    subject = Subject(kernel.layer, dtype, seed, kernel.parameters)
    with quiet(), np.errstate(all="ignore"):
        return list(_groups(kernel, subject, required))


def _groups(kernel: Kernel, subject: Subject, required: str) -> Iterator[Finding]:
    def group(name: str, checks: Iterable[Check], remarks: Iterable[Check] = ()) -> Finding:
        return _finding(kernel, name, _said(kernel, subject, checks), _said(kernel, subject, remarks))

    rule = None
    if tracked := tracks(subject):
        finding, rule = _running(kernel, subject, required)
        yield finding
        yield group(STATE, layer_state.CHECKS, layer_state.REMARKS)
    else:
        yield _finding(kernel, RUNNING, [], [NONE], Verdict.NOT_TRIED)
    wrong = _said(kernel, subject, (training_mode.fresh,))
    checks = [*training_mode.TRAINING, *(training_mode.GRADIENTS if subject.layers.backward else ())]
    # Where a plain training step is wrong, the other checks of values would only show that again.
    yield _finding(kernel, TRAINING, wrong, []) if wrong else group(TRAINING, checks)
    if tracked and subject.layers.evaluates:
        yield group(EVAL, [*eval_mode.EVAL, *([eval_mode.eval_gradients] if subject.layers.backward else [])])
    if subject.layers.copies:
        yield group(COPIES, (layer_copies.check,))
    if subject.layers.options and not wrong:
        # Frameworks in which momentum weighs the old value have no meaning for None.
        none = rule is not None and rule.momentum == NEW
        yield group(OPTIONS, layer_options.CHECKS if none else layer_options.OF_ANY_RULE)


def _running(kernel: Kernel, subject: Subject, required: str) -> tuple[Finding, Rule | None]:
    found = update_rule.Found(None, [])

    def find(subject: Subject) -> Iterator[str]:
        nonlocal found
        found = update_rule.find(subject)
        yield from found.faults

    said = _said(kernel, subject, (find,))
    if found.rule is None:
        return _finding(kernel, RUNNING, said, []), None
    if required:
        outer, inner = SIZES[0]
        said += running_conventions.broken(found.rule, required, outer * inner)
    finding = _finding(kernel, RUNNING, said, [running_conventions.described(found.rule)])
    return finding if said else replace(finding, error=found.error, budget=subject.tolerance), found.rule


def _said(kernel: Kernel, subject: Subject, checks: Iterable[Check]) -> list[str]:
    """What ``checks`` say is wrong; an error of the layer is a fault, too."""
    said: list[str] = []
    for each in checks:
        try:
            said += each(subject)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # the user's code may raise anything
            said.append(f"it raised {described(error, kernel.file)}")
    return list(dict.fromkeys(said))


def _finding(
    kernel: Kernel, group: str, said: list[str], remarks: list[str], verdict: Verdict = Verdict.PASS
) -> Finding:
    wrong = bool(said)
    return Finding(
        kernel.name, group, METHOD, Verdict.WRONG if wrong else verdict, math.inf if wrong else 0.0, 0.0,
        reason="; ".join(said or remarks),
    )  # fmt: skip
