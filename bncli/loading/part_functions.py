"""Find a user's functions of parts of a batch, and wrap them for NumPy arrays."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from bncli.arrays import Arrays, framework, frameworks
from bncli.core.kernel import Kernel, Parts
from bncli.loading import _file_settings, views

NUMPY = "numpy"
TAKEN = {"stats": 1, "merge": 2, "reduce": 4}  # numbers of arguments
BATCHES = {"stats": 1, "merge": 0, "reduce": 2}  # of them, the first, that are (N, F, S)


def parts_of(source: Any, kernel: Kernel) -> Parts | None:
    """The functions in ``source``, a module or a namespace with ``kernel``; None if it has neither merge nor reduce.

    A stats alone is some other function: nothing merges its results. So is a function with other arguments, such as
    ``functools.reduce``.
    """
    source = getattr(source, "KERNEL", source)
    if isinstance(source, Kernel):
        return source.parts
    given: dict[str, Any] = {name: getattr(source, name, None) for name in TAKEN}
    found = {name: call for name, call in given.items() if _fits(call, TAKEN[name])}
    if not found.keys() & {"merge", "reduce"}:
        return None
    settings = _file_settings.of_object(source, kernel.name, kernel.spec, source)
    name = settings.arrays or next((each for each in frameworks() if each in kernel.kind), NUMPY)
    arrays, view = framework(name), views.view_of(settings.axes or 3, name)
    return Parts(
        **{name: _on_numpy(call, BATCHES[name], view, arrays, settings.device) for name, call in found.items()}
    )


def _fits(call: Any, arguments: int) -> bool:
    try:
        inspect.signature(call).bind(*range(arguments))
    except (TypeError, ValueError):  # no function, one of other arguments, or compiled and without a signature
        return False
    return True


def _on_numpy(
    call: Callable[..., Any], batches: int, view: views.View, arrays: Arrays, device: str
) -> Callable[..., Any]:
    if arrays is framework(NUMPY):
        return lambda *given: call(*map(view.enter, given[:batches]), *given[batches:])

    def converted(*given: Any) -> Any:
        some = _first_array(given)
        entered = (*map(view.enter, given[:batches]), *given[batches:])
        with arrays.scope(some):
            found = call(*(_each(lambda array: arrays.take(array, device), each) for each in entered))
            return _each(lambda value: arrays.give(arrays.wait(value, device), device), found, arrays.holds)

    return converted


def _first_array(values: Any) -> Any:
    flat = (each for value in values for each in (value if isinstance(value, (tuple, list)) else [value]))
    return next(each for each in flat if isinstance(each, np.ndarray))


def _each(
    convert: Callable[[Any], Any],
    value: Any,
    wanted: Callable[[Any], bool] = lambda value: isinstance(value, np.ndarray),
) -> Any:
    """``value`` with its arrays converted; a named tuple stays one."""
    if isinstance(value, (tuple, list)):
        items = [_each(convert, item, wanted) for item in value]
        return value._make(items) if hasattr(value, "_make") else type(value)(items)
    return convert(value) if wanted(value) else value
