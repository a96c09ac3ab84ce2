"""The parameters and the running statistics of a torch.nn.Module, by their role."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from bncli.arrays.torch import holds
from bncli.loading.kinds._parameters import COUNT, MEAN, NAMES, VAR, role

STATISTICS = {MEAN, VAR}


class Tensor(NamedTuple):
    """A parameter or buffer of a module, and the submodule that has it as ``attribute``."""

    owner: Any
    attribute: str
    value: Any

    def replace(self, value: Any) -> None:
        """Put a contiguous ``value`` (F,) in its place, which, unlike a parameter, need not be a leaf."""
        if self.attribute in self.owner._parameters:
            del self.owner._parameters[self.attribute]  # which takes nothing but parameters
        value, shape = value.contiguous(), self.shape(value.numel())
        # A reshaped parameter is no parameter.
        setattr(self.owner, self.attribute, value if tuple(value.shape) == shape else value.reshape(shape))

    def shape(self, features: int) -> tuple[int, ...]:
        """Its shape in a module of ``features`` features."""
        sizes = tuple(self.value.shape)
        axis = next((axis for axis, size in enumerate(sizes) if size > 1), min(1, len(sizes) - 1))
        return (*sizes[:axis], features, *sizes[axis + 1 :])


def named_tensors(module: Any, named: Iterable[tuple[str, Any]]) -> dict[str, Tensor]:
    """Parameters or buffers by their role; unknown names are left out."""
    found = {}
    for path, value in named:
        owner, _, attribute = path.rpartition(".")
        if value is not None and (name := role(attribute)) is not None:
            found[name] = Tensor(module.get_submodule(owner), attribute, value)
    return found


def state_of(module: Any) -> dict[str, Tensor]:
    """The running mean and variance and the number of steps: buffers, or plain attributes with such a name."""
    found = {}
    for owner in module.modules():
        for part in (MEAN, VAR, COUNT):
            for attribute in NAMES[part][:2]:  # a plain attribute called mean may be the batch's
                value = getattr(owner, attribute, None)
                if holds(value) or (part == COUNT and isinstance(value, int)):
                    found[part] = Tensor(owner, attribute, value)
    return found | named_tensors(module, module.named_buffers())
