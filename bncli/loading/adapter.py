"""Make a Kernel of a module or an object that has a forward and a backward."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bncli.arrays import Arrays, framework, frameworks
from bncli.core.kernel import (
    BACKWARD,
    FORWARD,
    INFER,
    INFER_BACKWARD,
    INFER_FORWARD,
    OWN,
    PARAMETERS,
    Choice,
    Kernel,
    Prepared,
    gradients_of,
    subsets,
)
from bncli.core.problem import DTYPES
from bncli.errors import InputError
from bncli.loading import results, views
from bncli.loading._functions_layer import ARGUMENTS as UPDATE
from bncli.loading._functions_layer import layer_class
from bncli.loading.absent import completed, prepared_stand_in, stand_in, with_nothing_saved
from bncli.loading.call_arrays import CallArrays
from bncli.loading.kinds import Given, Passes, Taken, without
from bncli.loading.namespace_parameters import leaving_out, none_by_default, signature_of, taken_by

ARGUMENTS = {
    "forward": ("x", "gamma", "beta", "epsilon"),
    "backward": ("dy", "saved"),
    "infer": ("x", "gamma", "beta", "mean", "var", "epsilon"),
    "infer_forward": ("x", "gamma", "beta", "mean", "var", "epsilon"),
    "infer_backward": ("dy", "saved"),
}
REQUIRED = (FORWARD, BACKWARD)
NOT_GIVEN = object()


def is_namespace(value: Any) -> bool:
    """Whether ``value`` has a forward, a backward or a ``KERNEL``, and so is meant as a kernel."""
    return any(hasattr(value, name) for name in ("KERNEL", *ARGUMENTS))


def given(module: Any, name: str, spec: str, value: Any) -> Given:
    """The settings in ``module`` for its object ``value``.

    Raises InputError if one of them is malformed.
    """
    return Given(
        name=name,
        spec=spec,
        file=getattr(module, "__file__", None) or "",
        arrays=_given(module, "arrays") and _name_of_framework(module),
        ndim=_given(module, "ndim") and _ndim(module),
        dtypes=_dtypes(module),
        params=_params(module),
        summary=_summary(getattr(value, "__doc__", None) or ""),
        optional=_optional(module),
        device=_device(module),
    )


def adapt(namespace: Any, name: str = "", spec: str = "") -> Kernel:
    """The kernel in ``namespace``: a module or an object with ``forward`` and ``backward``, or one with a ``KERNEL``.

    A kernel without a backward, or with an infer alone, is judged and timed for what it has.
    Functions are called by position, so that their parameters may have any names. With an ``infer_backward``,
    infer returns y and saved, unless there is an ``infer_forward`` that does. Optional members: these three,
    ``ndim`` (3, or one of ``views.MEANING``), ``dtypes``, ``summary`` (default: the first line of
    the module's docstring), ``available``, ``set_threads``, and a parameter ``out`` of any function.
    A forward without gamma, beta or both is known by the names of its parameters. ``optional`` names those that may be
    None: by default those whose default is None. ``arrays`` names the framework whose arrays the functions take, and
    ``device`` where they are. The default of ``name`` is the namespace's own name. With an ``update`` of running
    statistics it is a layer, too.

    Raises InputError if a member is malformed. Errors of the user's code pass.
    """
    source = getattr(namespace, "KERNEL", namespace)
    absent = [each for each in REQUIRED if not hasattr(source, each)]
    if FORWARD in absent and (BACKWARD not in absent or not _given(source, INFER)):
        needed = " and ".join(map(_written, REQUIRED))
        raise InputError(
            f"it has no {' and no '.join(absent)}: a kernel needs {needed}; "
            "bncli kernels --template prints one to start from"
        )
    view, arrays, device = views.VIEWS[_ndim(source)], framework(_name_of_framework(source)), _device(source)
    parameters = taken_by(_entry(source))
    functions = {name: _function(source, name, view, parameters) for name in ARGUMENTS if _given(source, name)}
    if BACKWARD in absent and FORWARD in functions:
        functions[FORWARD] = functions[FORWARD]._replace(call=with_nothing_saved(functions[FORWARD].call))
    _complete_inference(functions)
    module = namespace if inspect.ismodule(namespace) else inspect.getmodule(next(iter(functions.values())).call)
    reference = stand_in()
    base = Kernel(
        reference.forward,
        reference.backward,
        dtypes=_dtypes(source),
        params=_params(source),
        summary=_summary(_given(source, "summary") or getattr(module, "__doc__", None) or ""),
        available=_availability(source, arrays, device),
        set_threads=_optional_function(source, "set_threads"),
        name=name or str(getattr(namespace, "__name__", "kernel")).rpartition(".")[2],
        spec=spec,
        file=getattr(module, "__file__", None) or "",
        kind="" if parameters == PARAMETERS else f"a kernel{without(parameters)}",
    )
    on_numpy = arrays is framework("numpy") or bool(base.available())

    def chosen(choice: Choice) -> Kernel:
        own = {name: leaving_out(function, name, parameters, choice) for name, function in functions.items()}
        kernel = replace(base, parameters=choice.parameters, gradients=choice.gradients)
        if on_numpy:
            return completed(replace(kernel, **views.passes_of(own, choice.gradients)), absent)
        called = {name: _on_arrays(each.call, name, arrays, device) for name, each in own.items()}
        passes = Passes(**{name: prepared_stand_in(name) for name in absent} | called)
        there = given(source, base.name, spec, source).kernel(
            _ndim(source),
            lambda _: passes,
            kind=f"a kernel of {_name_of_framework(source)} arrays",
            taken=Taken(choice.parameters),
            arrays=_name_of_framework(source),
        )
        kernel = replace(
            kernel,
            **{name: getattr(there, name) for name in own},
            prepare=there.prepare,
            tries_complex=False,
            set_threads=kernel.set_threads or arrays.set_threads,
            kind=there.kind if device else kernel.kind,
            device=there.device,
        )
        return completed(kernel, absent)

    optional = _may_be_none(source, parameters)
    whole = chosen(Choice(parameters, gradients_of(parameters)))
    whole = replace(whole, optional=subsets(optional), chosen=chosen if optional else None)
    return replace(whole, layer=layer_class(whole, update)) if (update := _update(source)) else whole


def _update(source: Any) -> Callable[..., Any] | None:
    """The function that updates running statistics; another one may have this name, too."""
    update = _optional_function(source, "update")
    try:
        if update is not None:
            signature_of(update).bind(*UPDATE)
    except (TypeError, ValueError):
        return None
    return update


def _complete_inference(functions: dict[str, views.Function]) -> None:
    """Make an infer that returns y alone, and an infer_forward that returns saved too, of the one that is given."""
    if INFER_BACKWARD not in functions:
        functions.pop(INFER_FORWARD, None)
        return
    saving = functions.get(INFER_FORWARD) or functions.get(INFER)
    if saving is None:
        raise InputError(f"it has {INFER_BACKWARD} and no {INFER}: write {_written(INFER)}, which returns y and saved")
    functions[INFER_FORWARD] = saving
    if functions.get(INFER, saving) is saving:
        functions[INFER] = saving._replace(call=_y_alone(saving.call))


def _y_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    def infer(*given: Any, **options: Any) -> Any:
        return results.pair(function(*given, **options), INFER)[0]

    return infer


def _given(source: Any, name: str, default: Any = None) -> Any:
    value = getattr(source, name, default)
    # ``from numpy import *`` brings another ndim and other dtypes; a package may have a module ``arrays``.
    return default if value is getattr(np, name, NOT_GIVEN) or inspect.ismodule(value) else value


def _may_be_none(source: Any, parameters: Sequence[str]) -> tuple[str, ...]:
    """Those of ``parameters`` that may be None: what the file says, or those whose default is None."""
    said = _optional(source)
    found = none_by_default(_entry(source), parameters) if said is None else said
    return tuple(name for name in parameters if name in found)


def _entry(source: Any) -> Any:
    return _given(source, FORWARD) or _given(source, INFER)


def _optional(source: Any) -> tuple[str, ...] | None:
    found = _given(source, "optional")
    if found is None:
        return None
    if isinstance(found, str) or not isinstance(found, Sequence) or not set(found) <= set(PARAMETERS):
        raise InputError(f"its optional is {found!r}: list {' or '.join(map(repr, PARAMETERS))}, or both")
    return tuple(found)


def _function(source: Any, name: str, view: views.View, taken: Sequence[str]) -> views.Function:
    call = getattr(source, name)
    if not callable(call):
        raise InputError(f"its {name} is of type {type(call).__name__}, not a function")
    try:
        signature = signature_of(call)
    except ValueError:
        signature = None  # compiled, without a signature
    try:
        positional = signature.bind(*_arguments(name, taken)).arguments if signature else {}
    except TypeError as error:
        raise InputError(f"its {name} cannot be called as {_written(name, taken)}: {error}") from error
    takes_out = signature is not None and "out" in signature.parameters.keys() - positional.keys()
    # ``out`` holds all gradients.
    takes_out = takes_out and taken == PARAMETERS
    return views.Function(call, view, takes_out)


def _arguments(name: str, taken: Sequence[str]) -> list[str]:
    return [each for each in ARGUMENTS[name] if each not in PARAMETERS or each in taken]


def _written(name: str, taken: Sequence[str] = PARAMETERS) -> str:
    return f"{name}({', '.join(_arguments(name, taken))})"


def _ndim(source: Any) -> int:
    ndim = _given(source, "ndim", 3)
    if not (isinstance(ndim, int) and ndim in views.VIEWS):
        meaning = ", ".join(f"{number} for {axes}" for number, axes in views.MEANING.items())
        raise InputError(f"its ndim is {ndim!r}: use {meaning}")
    return ndim


def _name_of_framework(source: Any) -> str:
    name = _given(source, "arrays", "numpy")
    if name not in frameworks():
        raise InputError(f"its arrays are {name!r}: use one of {', '.join(frameworks())}")
    return str(name)


class Kept(NamedTuple):
    """What a forward on a device saved, and the arrays of its call."""

    saved: Any
    taken: CallArrays


def _on_arrays(call: Callable[..., Any], direction: str, arrays: Arrays, device: str) -> Callable[..., Prepared]:
    """A function that prepares calls of ``call``, a function of a framework's arrays, for NumPy arrays."""

    def prepare(*given: Any, timed: bool = False) -> Prepared:
        batch, kept = given[0], given[-1]
        taken = CallArrays(arrays, device, kept.taken if isinstance(kept, Kept) else None)
        with arrays.scope(batch):
            natives = [taken.take(each) if isinstance(each, np.ndarray) else each for each in given]
        if isinstance(kept, Kept):
            natives[-1] = kept.saved

        def run() -> Any:
            with arrays.scope(batch):
                return arrays.wait(call(*natives), device)

        def deliver(found: Any) -> Any:
            taken.write_back()
            if not isinstance(found, (tuple, list)):
                return give(found)
            if direction not in (FORWARD, INFER_FORWARD) or not found:
                return tuple(map(give, found))
            *others, saved = found
            return *map(give, others), Kept(saved, taken) if device else saved  # saved is not converted

        def give(value: Any) -> Any:
            return taken.give(value) if arrays.holds(value) else value

        return Prepared(run, deliver)

    return prepare


def _device(source: Any) -> str:
    device = getattr(source, "device", None) or ""
    if isinstance(device, type):  # from torch import *
        return ""
    if type(device).__name__ == "device":  # PyTorch's, which is not imported here
        device = str(device)
    if not isinstance(device, str):
        raise InputError(f'its device is {device!r}: name it as its framework does, as "cuda" or "cuda:1"')
    return "" if device.partition(":")[0] == "cpu" else device


def _dtypes(source: Any) -> tuple[str, ...]:
    given = _given(source, "dtypes", Kernel.dtypes)
    known = ", ".join(DTYPES)
    if not isinstance(given, (str, Sequence)) or not given:
        raise InputError(f"its dtypes are {given!r}: list one or more of {known}")
    dtypes = (given,) if isinstance(given, str) else tuple(given)
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise InputError(f"its dtypes hold {dtype!r}, which is not one of {known}")
    return dtypes


def _params(source: Any) -> tuple[str, ...]:
    given = _given(source, "params", Kernel.params)
    params = (given,) if isinstance(given, str) else given
    if not isinstance(params, Sequence) or not params or any(each not in (OWN, "float32") for each in params):
        raise InputError(f'its params are {given!r}: name "float32", "{OWN}" for those of x, or both')
    return tuple(params)


def _summary(text: Any) -> str:
    if not isinstance(text, str):
        raise InputError(f"its summary is {text!r}, not a text")
    return text.strip().partition("\n")[0]


def _availability(source: Any, arrays: Arrays, device: str) -> Callable[[], str | None]:
    """Call ``available`` once while loading, which catches its errors."""
    if lacking := arrays.available(device):
        return lambda: lacking
    available = _optional_function(source, "available")
    missing = available and available()
    if not isinstance(missing, str | None):
        raise InputError(f"its available returned {missing!r}: return what is missing, or None if it can run")
    return lambda: missing or None


def _optional_function(source: Any, name: str) -> Callable[..., Any] | None:
    function: Callable[..., Any] | None = _given(source, name)
    if function is not None and not callable(function):
        raise InputError(f"its {name} is of type {type(function).__name__}, not a function")
    return function
