"""A torch.nn.Module: a class, an instance, or a function that makes one from the number of features."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bncli.arrays import torch as tensors
from bncli.core.kernel import BETA, GAMMA, PARAMETERS, Choice, Kernel, Prepared, subsets
from bncli.errors import InputError
from bncli.loading.kinds import Given, Passes, Taken, _torch_autograd
from bncli.loading.kinds._parameters import EPSILON, FEATURES, LIKE, MEAN, VAR, role
from bncli.loading.kinds._rank import fitting

Array = NDArray[Any]
Make = Callable[[int, float, Sequence[str]], Any]  # of features, epsilon and the parameters that it is to have

KIND = "a torch.nn.Module"
RANKS = (4, 3, 2, 5)  # the numbers of axes of x to try without an ``ndim``
TRIED = (3, 1e-5, PARAMETERS)  # what a module is made of for inspection
# A constructor's flags, true unless told otherwise, that give a module the parameters.
FLAGS = {
    "affine": PARAMETERS,
    "elementwise_affine": PARAMETERS,
    "scale": (GAMMA,),
    "use_scale": (GAMMA,),
    "center": (BETA,),
    "use_bias": (BETA,),
    "bias": (BETA,),
}


class Tensor(NamedTuple):
    """A parameter or buffer of a module, and the submodule that has it as ``attribute``."""

    owner: Any
    attribute: str
    value: Any

    def shape(self, features: int) -> tuple[int, ...]:
        """Its shape in a module of ``features`` features."""
        sizes = tuple(self.value.shape)
        axis = next((axis for axis, size in enumerate(sizes) if size > 1), min(1, len(sizes) - 1))
        return (*sizes[:axis], features, *sizes[axis + 1 :])


def is_one(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    made = getattr(value, "func", value)  # the function of a functools.partial
    is_class = isinstance(made, type) and issubclass(made, torch.nn.Module)
    return is_class or isinstance(value, torch.nn.Module) or (inspect.isfunction(value) and bool(_features_of(value)))


def kernel(value: Any, given: Given) -> Kernel:
    is_made = isinstance(value, tensors.torch().nn.Module)
    make = _instances(value) if is_made else _made(value)
    module = make(*TRIED)
    if not isinstance(module, tensors.torch().nn.Module):
        raise InputError(f"it makes a {type(module).__name__}, not a torch.nn.Module")
    parameters = _parameters_of(module)
    tracks = {MEAN, VAR} <= _tensors(module, module.named_buffers()).keys()

    def passes(choice: Choice) -> Passes:
        def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            own = {name: inputs[name] for name in choice.parameters}
            made = make(inputs[LIKE].numel(), inputs[EPSILON], choice.parameters)
            return partial(_with_parameters(made, own, inputs[LIKE]).train(), inputs["x"])

        return _torch_autograd.passes(bound, choice)._replace(infer=_infer(make, choice) if tracks else None)

    taken = Taken(parameters, () if is_made else _optional(value, parameters), selective=True)

    def of(rank: int) -> Kernel:
        return given.kernel(rank, passes, kind=KIND, taken=taken, set_threads=tensors.set_threads)

    return fitting(of, given.ranks(RANKS), given.dtypes[0])


def _parameters_of(module: Any) -> tuple[str, ...]:
    """Which of gamma and beta ``module`` has. Raises InputError if others may be those that it lacks."""
    named = dict(module.named_parameters())
    found = tuple(name for name in PARAMETERS if name in _tensors(module, named.items()))
    unknown = [path for path in named if role(path.rpartition(".")[2]) not in PARAMETERS]
    if len(found) < len(PARAMETERS) and unknown:
        raise InputError(f"its parameter {unknown[0]} is neither gamma nor beta, or weight nor bias: rename it")
    return found


def _optional(maker: Callable[..., Any], parameters: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sets of ``parameters`` that a module has not, as its constructor's flags say."""
    own = [set(names) for names in _flags(maker).values()]
    return tuple(
        names
        for names in subsets(parameters)
        if set(names) == set().union(*(each for each in own if each <= set(names)))
    )


def _flags(maker: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    return {
        name: FLAGS[name] for name, each in inspect.signature(maker).parameters.items()
        if name in FLAGS and each.default is True
    }  # fmt: skip


def _infer(make: Make, choice: Choice) -> Callable[..., Prepared]:
    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        given = {GAMMA: gamma, BETA: beta}
        own = {name: tensors.take(given[name]) for name in choice.parameters}
        made = make(gamma.size, epsilon, choice.parameters)
        module = _with_parameters(made, own, tensors.take(gamma))
        buffers = _tensors(module, module.named_buffers())
        for name, array in ((MEAN, mean), (VAR, var)):
            _set(buffers[name], tensors.take(array), "_buffers")
        call = tensors.torch().no_grad()(partial(module.eval(), tensors.take(x)))
        return Prepared(call, lambda found: tensors.give(_torch_autograd.first_tensor(found)))

    return infer


def _with_parameters(module: Any, given: Mapping[str, Any], like: Any) -> Any:
    """``module``, of the dtype of ``like``, with the ``given`` gamma and beta in place of its own parameters."""
    module.to(like.dtype)
    parameters = _tensors(module, module.named_parameters())
    for name, tensor in given.items():
        _set(parameters[name], tensor, "_parameters")
    for buffer in _tensors(module, module.named_buffers()).values():
        # The buffers of an instance have its own number of features.
        _set(buffer, buffer.value.flatten()[:1].expand(like.numel()).clone(), "_buffers")
    return module


def _set(tensor: Tensor, value: Any, registry: str) -> None:
    """Set the attribute of the module to a contiguous ``value``, which, unlike a parameter, need not be a leaf."""
    getattr(tensor.owner, registry).pop(tensor.attribute)
    shaped = value.contiguous().reshape(tensor.shape(value.numel()))
    if registry == "_buffers":
        tensor.owner.register_buffer(tensor.attribute, shaped)
    else:
        setattr(tensor.owner, tensor.attribute, shaped)


def _tensors(module: Any, named: Iterable[tuple[str, Any]]) -> dict[str, Tensor]:
    """Parameters or buffers by their role; unknown names are left out."""
    found = {}
    for path, value in named:
        owner, _, attribute = path.rpartition(".")
        if (name := role(attribute)) is not None:
            found[name] = Tensor(module.get_submodule(owner), attribute, value)
    return found


def _instances(module: Any) -> Make:
    """A function that copies ``module`` for a number of features and an epsilon."""
    names = {name: role(name) for name in vars(module)}

    def make(features: int, epsilon: float, parameters: Sequence[str]) -> Any:
        own = copy.deepcopy(module)
        for name, found in names.items():
            if found == FEATURES:
                setattr(own, name, features)
        _set_epsilon(own, epsilon)
        return own

    return make


def _made(maker: Callable[..., Any]) -> Make:
    """A function that calls ``maker`` for a number of features, an epsilon and parameters."""
    parameters = inspect.signature(maker).parameters
    features = _features_of(maker) or next(iter(parameters), None)
    epsilon_name = next((name for name in parameters if role(name) == EPSILON), None)

    flags = _flags(maker)

    def make(features_: int, epsilon: float, has: Sequence[str]) -> Any:
        named: dict[str, Any] = {epsilon_name: epsilon} if epsilon_name else {}
        named |= {flag: False for flag, names in flags.items() if not set(names) & set(has)}
        module = maker(**({features: features_} if features else {}), **named)
        if not epsilon_name:
            _set_epsilon(module, epsilon)
        return module

    return make


def _set_epsilon(module: Any, epsilon: float) -> None:
    own = [(each, name) for each in module.modules() for name in vars(each) if role(name) == EPSILON]
    if not own:
        raise InputError("its epsilon cannot be set: let its constructor take eps, or give it an attribute eps")
    for each, name in own:
        setattr(each, name, epsilon)


def _features_of(maker: Callable[..., Any]) -> str | None:
    """The parameter that takes the number of features; None if no name is known."""
    try:
        parameters = inspect.signature(maker).parameters
    except (TypeError, ValueError):
        return None
    return next((name for name in parameters if role(name) == FEATURES), None)
