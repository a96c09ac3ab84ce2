"""Which of gamma and beta the functions of a namespace take, and which of these may be None."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bncli.core.kernel import BACKWARD, INFER_BACKWARD, PARAMETERS, Choice
from bncli.loading import views
from bncli.loading.kinds._parameters import EPSILON, X, role


def taken_by(call: Any) -> tuple[str, ...]:
    """The parameters of ``call``, a forward or an infer: both, unless its names say which are missing."""
    roles = [role(each.name) for each in _positional(call)]
    known = {X, EPSILON} <= set(roles) and None not in roles
    return tuple(name for name in PARAMETERS if name in roles) if known else PARAMETERS


def none_by_default(call: Any, parameters: Sequence[str]) -> tuple[str, ...]:
    """Those of the ``parameters`` of ``call`` whose default is None."""
    taken = _positional(call)[1:]
    return tuple(name for name, each in zip(parameters, taken, strict=False) if each.default is None)


def leaving_out(function: views.Function, name: str, taken: Sequence[str], choice: Choice) -> views.Function:
    """``function``, called without the parameters that it has not ``taken``, and with None for those left out."""
    if name in (BACKWARD, INFER_BACKWARD) or choice.parameters == PARAMETERS:
        return function

    def call(x: Any, gamma: Any, beta: Any, *rest: Any, **options: Any) -> Any:
        given = {"gamma": gamma, "beta": beta}
        passed = (given[each] if each in choice.parameters else None for each in taken)
        return function.call(x, *passed, *rest, **options)

    return function._replace(call=call)


def signature_of(call: Callable[..., Any]) -> inspect.Signature:
    """The signature of ``call``, whose annotations may be wrong. Raises TypeError or ValueError if it has none."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        # Annotations are evaluated only here; they may name classes imported for type checkers only.
        return inspect.signature(call, annotation_format=Format.STRING)
    return inspect.signature(call)


def _positional(call: Any) -> list[inspect.Parameter]:
    """The parameters of ``call`` that are passed by position, but for ``out``; none if it has no signature."""
    try:
        parameters = signature_of(call).parameters.values()
    except (TypeError, ValueError):
        return []
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in parameters if each.kind in by_position and each.name != "out"]
