"""A torch.nn.Module: a class, an instance, or a function that makes one from the number of features."""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from bncli.arrays import torch as tensors
from bncli.core.kernel import Kernel, Prepared
from bncli.errors import InputError
from bncli.loading.kinds import Given, _torch_autograd, _torch_layer
from bncli.loading.kinds._parameters import AFFINE, BETA, EPSILON, FEATURES, GAMMA, MEAN, MOMENTUM, TRACK, VAR, role
from bncli.loading.kinds._rank import fitting
from bncli.loading.kinds._torch_tensors import STATISTICS, named_tensors, state_of
from bncli.loading.views import VIEWS

Array = NDArray[Any]
Make = Callable[..., Any]  # of the number of features and epsilon, and of options by role

KIND = "a torch.nn.Module"
RANKS = (4, 3, 2, 5)  # the numbers of axes of x to try without an ``ndim``
TRIED = (3, 1e-5)  # features and epsilon of a module that is made for inspection


def is_one(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    made = getattr(value, "func", value)  # the function of a functools.partial
    is_class = isinstance(made, type) and issubclass(made, torch.nn.Module)
    makes_one = inspect.isfunction(value) and FEATURES in map(role, _parameters(value))
    return is_class or makes_one or isinstance(value, torch.nn.Module)


def kernel(value: Any, given: Given) -> Kernel:
    make = _instances(value) if isinstance(value, tensors.torch().nn.Module) else _made(value)
    module = make(*TRIED)
    if not isinstance(module, tensors.torch().nn.Module):
        raise InputError(f"it makes a {type(module).__name__}, not a torch.nn.Module")
    for name in (GAMMA, BETA):
        if name not in named_tensors(module, module.named_parameters()):
            raise InputError(f"it has no parameter {name}, or weight and bias: bncli checks modules that have both")

    def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
        module = _with_parameters(make(inputs[GAMMA].numel(), inputs[EPSILON]), inputs[GAMMA], inputs[BETA])
        return partial(module.train(), inputs["x"])

    tracks = {MEAN, VAR} <= state_of(module).keys()
    passes = _torch_autograd.passes(bound)._replace(infer=_infer(make) if tracks else None)

    is_module = isinstance(value, tensors.torch().nn.Module)
    momentum = _momentum(module, None if is_module else value)
    options = set() if is_module else {AFFINE, TRACK, MOMENTUM} & _names(value).keys()
    if momentum is not None:
        options.add(MOMENTUM)

    def of(rank: int) -> Kernel:
        layer = _torch_layer.layer_class(make, VIEWS[rank], frozenset(options), momentum)
        return replace(given.kernel(rank, passes, kind=KIND, set_threads=tensors.set_threads), layer=layer)

    return fitting(of, given.ranks(RANKS), given.dtypes[0])


def _infer(make: Make) -> Callable[..., Prepared]:
    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        module = _with_parameters(make(gamma.size, epsilon), tensors.take(gamma), tensors.take(beta))
        state = state_of(module)
        for name, array in ((MEAN, mean), (VAR, var)):
            state[name].replace(tensors.take(array))
        call = tensors.torch().no_grad()(partial(module.eval(), tensors.take(x)))
        return Prepared(call, lambda found: tensors.give(_torch_autograd.first_tensor(found)))

    return infer


def _with_parameters(module: Any, gamma: Any, beta: Any) -> Any:
    """``module``, of the dtype of gamma, with gamma and beta in place of its own parameters."""
    module.to(gamma.dtype)
    parameters = named_tensors(module, module.named_parameters())
    for name, tensor in ((GAMMA, gamma), (BETA, beta)):
        parameters[name].replace(tensor)
    for name in STATISTICS & (state := state_of(module)).keys():
        # The statistics of an instance have its own number of features.
        state[name].replace(state[name].value.flatten()[:1].expand(gamma.numel()).clone())
    return module


def _instances(module: Any) -> Make:
    """A function that copies ``module`` for a number of features and an epsilon."""
    names = {name: role(name) for name in vars(module)}

    def make(features: int, epsilon: float, **options: Any) -> Any:
        own = copy.deepcopy(module)
        for name, found in names.items():
            if found == FEATURES:
                setattr(own, name, features)
        return _with_attributes(own, {EPSILON: epsilon, **options})

    return make


def _made(maker: Callable[..., Any]) -> Make:
    """A function that calls ``maker`` for a number of features, an epsilon and other options."""
    names = _names(maker)

    def make(features: int, epsilon: float, **options: Any) -> Any:
        values = {EPSILON: epsilon, **options}
        given = {names[each]: value for each, value in {FEATURES: features, **values}.items() if each in names}
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
