"""A torch.nn.Module with its own parameters, running statistics and modes, on NumPy arrays."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.arrays import torch as tensors
from bncli.core.kernel import BETA, GAMMA, Gradients
from bncli.core.stateful import LayerClass, Running
from bncli.loading.call_arrays import CallArrays
from bncli.loading.kinds._parameters import COUNT, MEAN, VAR
from bncli.loading.kinds._torch_autograd import enter, first_tensor
from bncli.loading.kinds._torch_tensors import named_tensors, state_of
from bncli.loading.views import View

Array = NDArray[Any]


class TorchLayer:
    """``module``, which takes batches as ``view`` gives them; ``anew`` makes a module like it, as it was at first."""

    def __init__(self, module: Any, view: View, anew: Callable[[], Any], device: str = "") -> None:
        self.module, self.view, self.anew, self.device = module, view, anew, device

    def forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.module.train(training)
        taken = CallArrays(framework("torch"), self.device)
        given = enter(taken.take(self.view.enter(x)))
        given.retain_grad()
        y = first_tensor(self.module(given))
        taken.write_back()
        return self.view.leave(taken.give(y), x.shape), (given, y, taken)

    def backward(self, dy: Array, call: Any) -> Gradients:
        given, y, before = call
        given.grad = None
        taken = CallArrays(before.arrays, self.device, earlier=before)
        y.backward(taken.take(self.view.enter(dy)), retain_graph=True)
        taken.write_back()
        own = named_tensors(self.module, self.module.named_parameters())
        nothing = np.zeros(dy.shape[1], dy.dtype)
        dgamma, dbeta = (
            taken.give(own[name].value.grad).reshape(-1).copy()
            if name in own and own[name].value.grad is not None
            else nothing
            for name in (GAMMA, BETA)
        )
        return Gradients(self.view.leave(taken.give(given.grad), dy.shape), dgamma, dbeta)

    def zero_grad(self) -> None:
        self.module.zero_grad()

    def running(self) -> Running | None:
        own = state_of(self.module)
        if not {MEAN, VAR} <= own.keys():
            return None
        mean, var = (tensors.give(own[name].value, self.device).copy() for name in (MEAN, VAR))
        steps = int(own[COUNT].value) if COUNT in own else None
        return Running(mean, var, steps, any(own[name].value.requires_grad for name in (MEAN, VAR)))

    def set_parameters(self, gamma: Array, beta: Array) -> None:
        own = named_tensors(self.module, self.module.named_parameters())
        with tensors.torch().no_grad():
            for name, array in ((GAMMA, gamma), (BETA, beta)):
                if name in own:
                    own[name].value.copy_(tensors.take(array).reshape(own[name].value.shape))


def layer_class(
    make: Callable[..., Any], view: View, options: frozenset[str], momentum: float | None, device: str, tracks: bool
) -> LayerClass:
    """The class of the layers around the modules that ``make(features, epsilon, **options)`` returns."""

    def made(features: int, dtype: str, epsilon: float, **given: Any) -> TorchLayer:
        def anew() -> Any:
            torch, wanted = tensors.torch(), getattr(tensors.torch(), dtype)
            before = torch.get_default_dtype()
            torch.set_default_dtype(wanted)  # for tensors that are no buffers, which ``to`` does not convert
            try:
                return make(features, epsilon, **given).to(device or None, wanted)
            finally:
                torch.set_default_dtype(before)

        return TorchLayer(anew(), view, anew, device)

    def by(copy_of: Callable[[Any], Any]) -> Callable[[Any], TorchLayer]:
        return lambda layer: TorchLayer(copy_of(layer), view, layer.anew, device)

    def through_state_dict(layer: Any) -> Any:
        module = layer.anew()
        module.load_state_dict(layer.module.state_dict())
        return module

    copies = {
        "copy.deepcopy": by(lambda layer: copy.deepcopy(layer.module)),
        "pickle": by(lambda layer: pickle.loads(pickle.dumps(layer.module))),  # noqa: S301
        "state_dict": by(through_state_dict),
    }
    return LayerClass(made, options, momentum, copies, many_forwards=True, tracks=tracks)
