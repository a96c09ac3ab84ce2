"""Match the parameters of a user's function with arguments, by their usual names."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from bncli.core.kernel import BETA, GAMMA, PARAMETERS, subsets
from bncli.errors import InputError
from bncli.loading.kinds import Given, Taken

X, EPSILON = "x", "epsilon"
LIKE = "like"  # an array of gamma's shape and dtype, where gamma itself may be None
MEAN, VAR, TRAINING, MOMENTUM = "running_mean", "running_var", "training", "momentum"
FEATURES = "num_features"
AFFINE, TRACK, COUNT = "affine", "track_running_stats", "num_batches_tracked"
GIVEN = (X, GAMMA, BETA, EPSILON)
NAMES = {
    X: ("x", "input", "inputs", "inp", "inpt", "data"),
    GAMMA: ("gamma", "weight", "weights", "w", "scale", "scales", "g"),
    BETA: ("beta", "bias", "biases", "b", "shift", "offset"),
    EPSILON: ("epsilon", "eps", "epsil"),
    MEAN: ("running_mean", "moving_mean", "mean"),
    VAR: ("running_var", "moving_var", "running_variance", "moving_variance", "var", "variance"),
    TRAINING: ("training", "train", "is_training", "train_mode"),
    MOMENTUM: ("momentum", "running_momentum"),
    AFFINE: ("affine", "elementwise_affine"),
    TRACK: ("track_running_stats", "track_running_statistics"),
    COUNT: ("num_batches_tracked",),
    FEATURES: ("num_features", "features", "n_features", "channels", "num_channels", "dim"),
}
ROLES = {name: role for role, names in NAMES.items() for name in names}


def role(name: str) -> str | None:
    """The role of a parameter or an attribute called ``name``; None for an unknown name."""
    return ROLES.get(name.lower().strip("_"))


class Default(NamedTuple):
    """The default ``value`` of a parameter."""

    value: Any


class Signature(NamedTuple):
    """How to call a function: ``by_position`` has a role, or a default, for each parameter; ``by_name`` has roles.

    ``defaults`` are those of the roles; that of the roles in ``optional`` is None.
    """

    by_position: tuple[str | Default, ...]
    by_name: Mapping[str, str]
    defaults: Mapping[str, Any] = MappingProxyType({})
    optional: tuple[str, ...] = ()

    def bound(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[], Any]:
        """``function`` with the ``arguments`` of its roles, and the defaults of others."""
        arguments = {**self.defaults, **arguments}
        given = (each.value if isinstance(each, Default) else arguments[each] for each in self.by_position)
        return partial(function, *given, **{name: arguments[role] for name, role in self.by_name.items()})

    def takes(self, role: str) -> bool:
        """Whether there is a parameter of that role."""
        return role in self.by_position or role in self.by_name.values()

    def bound_in_training(
        self, function: Callable[..., Any], inputs: Mapping[str, Any], numbers: Any
    ) -> Callable[[], Any]:
        """``function`` with ``inputs`` and the other arguments of a training step.

        ``numbers`` is the namespace of the framework of ``inputs``.
        """
        made = {MEAN: numbers.zeros_like, VAR: numbers.ones_like}
        running = {role: make(inputs[LIKE]) for role, make in made.items() if self.takes(role)}
        return self.bound(function, {**inputs, **running, TRAINING: True, MOMENTUM: 0.1})

    @property
    def infers(self) -> bool:
        """Whether inference can be asked for: with a mean and a variance, and without training."""
        return all(map(self.takes, (MEAN, VAR, TRAINING)))

    def bound_in_inference(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> Callable[[], Any]:
        """``function`` with ``inputs``, a mean and a variance among them, and the other arguments of inference."""
        return self.bound(function, {**inputs, TRAINING: False, MOMENTUM: 0.1})

    def taken(self, given: Given, *, selective: bool = False) -> Taken:
        """The parameters that the function takes, and those that may be None: the file's, or the default's."""
        parameters = tuple(name for name in PARAMETERS if self.takes(name))
        optional = self.optional if given.optional is None else given.optional
        return Taken(parameters, subsets([name for name in parameters if name in optional]), selective)


def signature(function: Callable[..., Any], skip: int = 0) -> Signature:
    """How to call ``function``; its first ``skip`` parameters are given by its framework.

    Parameters are matched by their names. If no name is known, four without a default are x, gamma, beta and epsilon.
    Raises InputError for a parameter without a default whose name is not known.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):  # compiled, without a signature
        return Signature(GIVEN, {})
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    required = [each for each in named if each.default is each.empty]
    if parameters and not any(role(each.name) for each in named) and len(required) in (0, len(GIVEN)):
        return Signature(GIVEN, {})
    if strange := [each.name for each in required if role(each.name) is None]:
        known = ", ".join(NAMES)
        raise InputError(
            f"it takes {' and '.join(strange)}, which is not one of {known}: rename it, or give it a default"
        )
    by_position = [role(each.name) or Default(each.default) for each in named if each.kind is not each.KEYWORD_ONLY]
    while by_position and isinstance(by_position[-1], Default):
        by_position.pop()
    keyword = [each for each in named if each.kind is each.KEYWORD_ONLY]
    optional = tuple(found for each in named if each.default is None and (found := role(each.name)) is not None)
    return Signature(
        tuple(by_position),
        {each.name: found for each in keyword if (found := role(each.name)) is not None},
        {role(each.name) or each.name: each.default for each in named if each.default is not each.empty},
        optional,
    )
