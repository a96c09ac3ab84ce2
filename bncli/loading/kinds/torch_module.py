"""A torch.nn.Module: a class, an instance, or a function that makes one from the number of features."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.arrays import torch as tensors
from bncli.core.kernel import Kernel, Prepared
from bncli.errors import InputError
from bncli.loading.kinds import Given, _torch_autograd
from bncli.loading.kinds._parameters import BETA, EPSILON, FEATURES, GAMMA, MEAN, VAR, role
from bncli.loading.kinds._rank import fitting
from bncli.loading.taken import Taken

Array = NDArray[Any]
Make = Callable[[int, float], Any]

KIND = "a torch.nn.Module"
RANKS = (4, 3, 2, 5)  # the numbers of axes of x to try without an ``ndim``
TRIED = (3, 1e-5)  # features and epsilon of a module that is made for inspection


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
    if lacking := given.lacks("torch"):
        return lacking
    make = _instances(value) if isinstance(value, tensors.torch().nn.Module) else _made(value)
    module = make(*TRIED)
    if not isinstance(module, tensors.torch().nn.Module):
        raise InputError(f"it makes a {type(module).__name__}, not a torch.nn.Module")
    for name in (GAMMA, BETA):
        if name not in _tensors(module, module.named_parameters()):
            raise InputError(f"it has no parameter {name}, or weight and bias: bncli checks modules that have both")

    def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
        module = _with_parameters(make(inputs[GAMMA].numel(), inputs[EPSILON]), inputs[GAMMA], inputs[BETA])
        return partial(module.train(), inputs["x"])

    tracks = {MEAN, VAR} <= _tensors(module, module.named_buffers()).keys()
    passes = _torch_autograd.passes(bound, given.device)
    passes = passes._replace(infer=_infer(make, given.device) if tracks else None)

    def of(rank: int) -> Kernel:
        return given.kernel(rank, passes, kind=KIND, arrays="torch")

    return fitting(of, given.ranks(RANKS), given.dtypes[0])


def _infer(make: Make, device: str) -> Callable[..., Prepared]:
    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        taken = Taken(framework("torch"), device)
        module = _with_parameters(make(gamma.size, epsilon), taken.take(gamma), taken.take(beta))
        buffers = _tensors(module, module.named_buffers())
        for name, array in ((MEAN, mean), (VAR, var)):
            _set(buffers[name], taken.take(array), "_buffers")
        call = tensors.torch().no_grad()(partial(module.eval(), taken.take(x)))

        def deliver(found: Any) -> Array:
            taken.write_back()
            return taken.give(_torch_autograd.first_tensor(found))

        return Prepared(taken.waiting(call), deliver)

    return infer


def _with_parameters(module: Any, gamma: Any, beta: Any) -> Any:
    """``module``, of the dtype and device of gamma, with gamma and beta in place of its own parameters."""
    module.to(gamma.device, gamma.dtype)
    parameters = _tensors(module, module.named_parameters())
    for name, tensor in ((GAMMA, gamma), (BETA, beta)):
        _set(parameters[name], tensor, "_parameters")
    for buffer in _tensors(module, module.named_buffers()).values():
        # The buffers of an instance have its own number of features.
        _set(buffer, buffer.value.flatten()[:1].expand(gamma.numel()).clone(), "_buffers")
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

    def make(features: int, epsilon: float) -> Any:
        own = copy.deepcopy(module)
        for name, found in names.items():
            if found == FEATURES:
                setattr(own, name, features)
        _set_epsilon(own, epsilon)
        return own

    return make


def _made(maker: Callable[..., Any]) -> Make:
    """A function that calls ``maker`` for a number of features and an epsilon."""
    parameters = inspect.signature(maker).parameters
    features = _features_of(maker) or next(iter(parameters), None)
    epsilon_name = next((name for name in parameters if role(name) == EPSILON), None)

    def make(features_: int, epsilon: float) -> Any:
        named = {epsilon_name: epsilon} if epsilon_name else {}
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
