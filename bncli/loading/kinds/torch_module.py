"""A torch.nn.Module: a class, an instance, or a function that makes one from the number of features."""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bncli.arrays import torch as tensors
from bncli.core.kernel import BETA, GAMMA, PARAMETERS, Choice, Kernel, subsets
from bncli.errors import InputError
from bncli.loading.kinds import Given, Passes, Taken, _torch_autograd, _torch_layer
from bncli.loading.kinds._axes import fitting
from bncli.loading.kinds._parameters import AFFINE, EPSILON, FEATURES, LIKE, MEAN, MOMENTUM, TRACK, VAR, role
from bncli.loading.kinds._torch_tensors import STATISTICS, named_tensors, state_of
from bncli.loading.views import CHANNELS_LAST, Axes, view_of

Make = Callable[..., Any]  # of features, epsilon and the flags to turn off, and of options by role

KIND = "a torch.nn.Module"
AXES = (4, 3, 2, 5, CHANNELS_LAST)  # to try if the file names none
TRIED = (3, 1e-5)  # features and epsilon of a module that is made for inspection
# The flags of a constructor, true unless told otherwise, that give a module the parameters.
FLAGS = {
    "affine": PARAMETERS,
    "elementwise_affine": PARAMETERS,
    "scale": (GAMMA,),
    "use_scale": (GAMMA,),
    "center": (BETA,),
    "use_bias": (BETA,),
    "bias": (BETA,),
}


def is_one(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    made = getattr(value, "func", value)  # the function of a functools.partial
    is_class = isinstance(made, type) and issubclass(made, torch.nn.Module)
    makes_one = inspect.isfunction(value) and FEATURES in map(role, _parameters(value))
    return is_class or makes_one or isinstance(value, torch.nn.Module)


def kernel(value: Any, given: Given) -> Kernel:
    if lacking := given.lacks("torch"):
        return lacking
    is_module = isinstance(value, tensors.torch().nn.Module)
    make = _instances(value) if is_module else _made(value)
    module = make(*TRIED)
    if not isinstance(module, tensors.torch().nn.Module):
        raise InputError(f"it makes a {type(module).__name__}, not a torch.nn.Module")
    parameters = _parameters_of(module)
    flags = {} if is_module else _flags(value)
    tracks = {MEAN, VAR} <= state_of(module).keys()

    def passes(choice: Choice) -> Passes:
        off = [flag for flag, names in flags.items() if not set(names) & set(choice.parameters)]

        def made(inputs: Mapping[str, Any]) -> Any:
            own = {name: inputs[name] for name in choice.parameters}
            return _with_parameters(make(inputs[LIKE].numel(), inputs[EPSILON], off), own, inputs[LIKE])

        def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            return partial(made(inputs).train(), inputs["x"])

        def inferring(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            state = state_of(module := made(inputs))
            for name in (MEAN, VAR):
                state[name].replace(inputs[name])
            return partial(module.eval(), inputs["x"])

        training = _torch_autograd.passes(bound, choice, given.device)
        return _torch_autograd.with_inference(training, inferring, choice, given.device) if tracks else training

    taken = Taken(parameters, _optional(flags, parameters), selective=True)
    momentum = _momentum(module, None if is_module else value)
    options = set() if is_module else {AFFINE, TRACK, MOMENTUM} & _names(value).keys()
    if momentum is not None:
        options.add(MOMENTUM)

    def of(axes: Axes) -> Kernel:
        layer = _torch_layer.layer_class(
            make, view_of(axes, "torch"), frozenset(options), momentum, given.device, tracks
        )
        return replace(given.kernel(axes, passes, kind=KIND, taken=taken, arrays="torch"), layer=layer)

    return fitting(of, given.axes_to_try(AXES), given.dtypes[0])


def _parameters_of(module: Any) -> tuple[str, ...]:
    """Which of gamma and beta ``module`` has. Raises InputError if others may be those that it lacks."""
    named = dict(module.named_parameters())
    found = tuple(name for name in PARAMETERS if name in named_tensors(module, named.items()))
    unknown = [path for path in named if role(path.rpartition(".")[2]) not in PARAMETERS]
    if len(found) < len(PARAMETERS) and unknown:
        raise InputError(f"its parameter {unknown[0]} is neither gamma nor beta, or weight nor bias: rename it")
    return found


def _flags(maker: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """The flags of ``maker`` that can be turned off, with the parameters that each gives."""
    return {name: FLAGS[name] for name, own in _parameters(maker).items() if name in FLAGS and own.default is True}


def _optional(flags: Mapping[str, tuple[str, ...]], parameters: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sets of ``parameters`` that a module lacks with some of ``flags`` turned off."""
    own = [set(names) for names in flags.values()]
    return tuple(
        names
        for names in subsets(parameters)
        if set(names) == set().union(*(each for each in own if each <= set(names)))
    )


def _with_parameters(module: Any, given: Mapping[str, Any], like: Any) -> Any:
    """``module``, of the dtype and device of ``like`` (F,), with the ``given`` gamma and beta in place of its own."""
    module.to(like.device, like.dtype)
    parameters = named_tensors(module, module.named_parameters())
    for name, tensor in given.items():
        parameters[name].replace(tensor)
    return module


def _instances(module: Any) -> Make:
    """A function that copies ``module`` for a number of features and an epsilon."""
    names = {name: role(name) for name in vars(module)}

    def make(features: int, epsilon: float, off: Sequence[str] = (), **options: Any) -> Any:
        own = copy.deepcopy(module)
        for name, found in names.items():
            if found == FEATURES:
                setattr(own, name, features)
        for name, tensor in {**named_tensors(own, own.named_parameters()), **state_of(own)}.items():
            if name in (*PARAMETERS, *STATISTICS) and tensor.value.numel() != features:
                resized = tensor.value.detach().flatten()[:1].expand(features).clone().reshape(tensor.shape(features))
                tensor.replace(tensors.torch().nn.Parameter(resized) if name in PARAMETERS else resized)
        return _with_attributes(own, {EPSILON: epsilon, **options})

    return make


def _made(maker: Callable[..., Any]) -> Make:
    """A function that calls ``maker`` for a number of features, an epsilon and other options."""
    names = _names(maker)

    def make(features: int, epsilon: float, off: Sequence[str] = (), **options: Any) -> Any:
        values = {EPSILON: epsilon, **options}
        given = {names[each]: value for each, value in {FEATURES: features, **values}.items() if each in names}
        given |= dict.fromkeys(off, False)
        return _with_attributes(maker(**given), {each: values[each] for each in values.keys() - names.keys()})

    return make


def _with_attributes(module: Any, values: Mapping[str, Any]) -> Any:
    """``module``, with its attributes of these roles set. Raises InputError if it has none for epsilon."""
    for wanted, value in values.items():
        own = [(each, name) for each in module.modules() for name in vars(each) if role(name) == wanted]
        if wanted == EPSILON and not own:
            raise InputError("its epsilon cannot be set: let its constructor take eps, or give it an attribute eps")
        for each, name in own:
            setattr(each, name, value)
    return module


def _momentum(module: Any, maker: Any) -> float | None:
    """The default momentum: the attribute of ``module``, or the default in the signature of ``maker``."""
    values = [value for each in module.modules() for name, value in vars(each).items() if role(name) == MOMENTUM]
    if callable(maker) and not values:
        values = [own.default for name, own in _parameters(maker).items() if role(name) == MOMENTUM]
    return next((float(value) for value in values if isinstance(value, (int, float))), None)


def _names(maker: Callable[..., Any]) -> dict[str, str]:
    """The parameters of ``maker`` by role; its first one takes the number of features if no name says so."""
    parameters = _parameters(maker)
    names = {found: name for name in reversed(parameters) if (found := role(name)) is not None}
    first = next(iter(parameters), None)
    if first and FEATURES not in names and first not in names.values():
        names[FEATURES] = first
    return names


def _parameters(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Its parameters by name, and those of the class above where a constructor passes ``**options`` on."""
    made = [vars(each).get("__init__") for each in maker.__mro__] if isinstance(maker, type) else [maker]
    found: dict[str, inspect.Parameter] = {}
    for each in filter(None, made):
        try:
            parameters = list(inspect.signature(each).parameters.values())
        except (TypeError, ValueError):
            break
        named = (own for own in parameters if own.kind not in (own.VAR_POSITIONAL, own.VAR_KEYWORD))
        found = {own.name: own for own in named if own.name != "self"} | found
        if not any(own.kind is own.VAR_KEYWORD for own in parameters):
            break
    return found
