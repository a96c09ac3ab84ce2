"""Make a Kernel of a module or an object that has a forward and a backward."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bncli.arrays import framework
from bncli.core.kernel import (
    BACKWARD,
    FORWARD,
    INFER,
    INFER_BACKWARD,
    INFER_FORWARD,
    PARAMETERS,
    Choice,
    Kernel,
    gradients_of,
    subsets,
)
from bncli.errors import InputError
from bncli.loading import _file_settings, results, views
from bncli.loading._file_settings import read
from bncli.loading._framework_functions import on_arrays
from bncli.loading._functions_layer import ARGUMENTS as UPDATE
from bncli.loading._functions_layer import layer_class
from bncli.loading.absent import completed, prepared_stand_in, stand_in, with_nothing_saved
from bncli.loading.kinds import Passes, Taken, without
from bncli.loading.namespace_parameters import leaving_out, none_by_default, signature_of, taken_by

ARGUMENTS = {
    "forward": ("x", "gamma", "beta", "epsilon"),
    "backward": ("dy", "saved"),
    "infer": ("x", "gamma", "beta", "mean", "var", "epsilon"),
    "infer_forward": ("x", "gamma", "beta", "mean", "var", "epsilon"),
    "infer_backward": ("dy", "saved"),
}
REQUIRED = (FORWARD, BACKWARD)


def is_namespace(value: Any) -> bool:
    """Whether ``value`` has a forward, a backward or a ``KERNEL``, and so is meant as a kernel."""
    return any(hasattr(value, name) for name in ("KERNEL", *ARGUMENTS))


def adapt(namespace: Any, name: str = "", spec: str = "") -> Kernel:
    """The kernel in ``namespace``: a module or an object with ``forward`` and ``backward``, or one with a ``KERNEL``.

    A kernel without a backward, or with an infer alone, is judged and timed for what it has.
    Functions are called by position, so that their parameters may have any names. With an ``infer_backward``,
    infer returns y and saved, unless there is an ``infer_forward`` that does. Optional members: these three,
    ``ndim`` (3, or one of ``views.MEANING``) or ``axes`` (one of ``views.WORDS``), ``dtypes``,
    ``summary`` (default: the first line of
    the module's docstring), ``available``, ``set_threads``, and a parameter ``out`` of any function.
    A forward without gamma, beta or both is known by the names of its parameters. ``optional`` names those that may be
    None: by default those whose default is None. ``arrays`` names the framework whose arrays the functions take, and
    ``device`` where they are. The default of ``name`` is the namespace's own name. With an ``update``
    of running statistics it is a layer, too.

    Raises InputError if a member is malformed. Errors of the user's code pass.
    """
    source = getattr(namespace, "KERNEL", namespace)
    absent = [each for each in REQUIRED if not hasattr(source, each)]
    if FORWARD in absent and (BACKWARD not in absent or not read(source, INFER)):
        needed = " and ".join(map(_written, REQUIRED))
        raise InputError(
            f"it has no {' and no '.join(absent)}: a kernel needs {needed}; "
            "bncli kernels --template prints one to start from"
        )
    axes, device = _file_settings.axes(source) or 3, _file_settings.device(source)
    framework_name = _file_settings.name_of_framework(source)
    view = views.view_of(axes, framework_name)
    arrays = framework(framework_name)
    parameters = taken_by(_entry(source))
    functions = {name: _function(source, name, view, parameters) for name in ARGUMENTS if read(source, name)}
    if BACKWARD in absent and FORWARD in functions:
        functions[FORWARD] = functions[FORWARD]._replace(call=with_nothing_saved(functions[FORWARD].call))
    _complete_inference(functions)
    module = namespace if inspect.ismodule(namespace) else inspect.getmodule(next(iter(functions.values())).call)
    reference = stand_in()
    about = without(parameters) + (f" on {device}" if device else "")
    base = Kernel(
        reference.forward,
        reference.backward,
        dtypes=_file_settings.dtypes(source),
        params=_file_settings.params(source),
        summary=_file_settings.summary(read(source, "summary") or getattr(module, "__doc__", None) or ""),
        available=_file_settings.availability(source, arrays, device),
        set_threads=_file_settings.optional_function(source, "set_threads"),
        name=name or str(getattr(namespace, "__name__", "kernel")).rpartition(".")[2],
        spec=spec,
        file=getattr(module, "__file__", None) or "",
        kind=f"a kernel{about}" if about else "",
    )
    on_numpy = framework_name == "numpy" or base.available()

    def chosen(choice: Choice) -> Kernel:
        own = {name: leaving_out(function, name, parameters, choice) for name, function in functions.items()}
        kernel = replace(base, parameters=choice.parameters, gradients=choice.gradients)
        if on_numpy:
            return completed(replace(kernel, **views.passes_of(own, choice.gradients)), absent)
        called = {name: on_arrays(each.call, name, arrays, device) for name, each in own.items()}
        passes = Passes(**{name: prepared_stand_in(name) for name in absent} | called)
        there = _file_settings.of_object(source, base.name, spec, source).kernel(
            axes,
            lambda _: passes,
            kind="",
            taken=Taken(choice.parameters),
            arrays=framework_name,
        )
        kernel = replace(
            kernel,
            **{name: getattr(there, name) for name in own},
            prepare=there.prepare,
            tries_complex=False,
            set_threads=kernel.set_threads or arrays.set_threads,
            device=there.device,
        )
        return completed(kernel, absent)

    optional = _may_be_none(source, parameters)
    whole = chosen(Choice(parameters, gradients_of(parameters)))
    whole = replace(whole, optional=subsets(optional), chosen=chosen if optional else None)
    return replace(whole, layer=layer_class(whole, update)) if (update := _update(source)) else whole


def _update(source: Any) -> Callable[..., Any] | None:
    """The function that updates running statistics; another one may have this name, too."""
    update = _file_settings.optional_function(source, "update")
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


def _may_be_none(source: Any, parameters: Sequence[str]) -> tuple[str, ...]:
    """Those of ``parameters`` that may be None: what the file says, or those whose default is None."""
    said = _file_settings.optional(source)
    found = none_by_default(_entry(source), parameters) if said is None else said
    return tuple(name for name in parameters if name in found)


def _entry(source: Any) -> Any:
    return read(source, FORWARD) or read(source, INFER)


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
