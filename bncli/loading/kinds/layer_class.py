"""A class of layers with a state of their own: forward(x), then backward(dy). NumPyNet's takes dy as ``delta``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.core.kernel import BACKWARD, BETA, FORWARD, GAMMA, Kernel, Prepared
from bncli.core.stateful import LayerClass
from bncli.errors import InputError
from bncli.loading.absent import completed, stand_in
from bncli.loading.kinds import Given, Passes, torch_function, torch_module
from bncli.loading.kinds._axes import fitting
from bncli.loading.kinds._object_layer import Form, ObjectLayer, copies, has_modes
from bncli.loading.kinds._parameters import (
    AFFINE,
    EPSILON,
    FEATURES,
    MOMENTUM,
    TRACK,
    X,
    role,
    signature,
)
from bncli.loading.views import CHANNELS_LAST, VIEWS, Axes

Array = NDArray[Any]
Make = Callable[..., ObjectLayer]  # of a form, features, dtype and epsilon, and of other arguments by role

KIND = "a layer class"
CANONICAL = 3
NUMPYNET = "(N, 1, 1, F)"  # its images; it averages over the first axis, and features are in the last
AXES: tuple[Axes, ...] = (2, 4, 3, 5, CHANNELS_LAST, NUMPYNET)  # to try if the file names none
SMALL = np.linspace(-1, 1, 24).reshape(4, 3, 2)  # a batch to try


def _rows(batch: Array) -> Array:
    return np.asarray(VIEWS[2].enter(batch)[:, None, None])


FORMS = {axes: Form(*view) for axes, view in VIEWS.items()}
FORMS[NUMPYNET] = Form(_rows, lambda found, shape: VIEWS[2].leave(found[:, 0, 0], shape), (1, 1, -1))


def is_one(value: Any) -> bool:
    made = getattr(value, "func", value)  # the class of a functools.partial
    enter = getattr(made, FORWARD, None)
    if not isinstance(made, type) or enter is None or torch_function.is_one(value) or torch_module.is_one(value):
        return False
    try:
        entered, constructed = signature(enter, skip=1), signature(value)
    except InputError:
        return False
    whole = hasattr(made, BACKWARD) or constructed.takes(FEATURES) or constructed.takes(GAMMA)
    return whole and entered.takes(X) and not entered.takes(GAMMA)


def kernel(value: Any, given: Given) -> Kernel:
    if given.device:
        raise InputError(f"its device is {given.device!r}, and a layer class computes on the CPU")
    if lacking := given.lacks(given.arrays or "numpy"):
        return lacking
    made = getattr(value, "func", value)
    make, whole = _maker(value, made, given), hasattr(made, BACKWARD)
    forms = given.axes_to_try(AXES)
    if not signature(value).takes(FEATURES):
        forms = tuple(sorted(forms, key=lambda form: form != NUMPYNET))  # gamma and beta come in its shape
    return fitting(lambda form: _kernel(value, whole, given, make, FORMS[form]), forms, given.dtypes[0])


def _kernel(value: Any, whole: bool, given: Given, make: Make, form: Form) -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        layer = make(form, x.shape[1], x.dtype.name, epsilon)
        layer.set_parameters(gamma, beta)
        prepared = layer.entering(x, True)
        return Prepared(prepared.call, lambda found: (prepared.deliver(found)[0], layer))

    def backward(dy: Array, saved: ObjectLayer, timed: bool = False) -> Prepared:
        return saved.leaving(dy)

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        layer = make(form, x.shape[1], x.dtype.name, epsilon)
        layer.set_parameters(gamma, beta)
        layer.set_running(mean, var)
        prepared = layer.entering(x, False)
        return Prepared(prepared.call, lambda found: (prepared.deliver(found)[0], layer))

    def infer(*inputs: Any, timed: bool = False) -> Prepared:
        prepared = infer_forward(*inputs)
        return Prepared(prepared.call, lambda found: prepared.deliver(found)[0])

    modes, tracks, differentiates = _abilities(make, form, given.dtypes[0])
    passes = Passes(forward, backward, infer if tracks else None)
    if differentiates:
        passes = passes._replace(infer_forward=infer_forward, infer_backward=backward)
    kernel = given.kernel(CANONICAL, lambda _: passes, kind=KIND)
    layers = LayerClass(
        lambda features, dtype, epsilon, **options: make(form, features, dtype, epsilon, **options),
        frozenset({AFFINE, TRACK, MOMENTUM} & signature(value).defaults.keys()),
        _momentum(value),
        copies(),
        backward=whole,
        evaluates=modes,
        tracks=tracks,
    )
    kernel = replace(kernel, layer=layers)
    if whole:
        return kernel
    return completed(replace(kernel, backward=stand_in().backward), (BACKWARD,))


def _maker(value: Any, its_class: Any, given: Given) -> Make:
    made, entered = signature(value), signature(its_class.forward, skip=1)
    if not (made.takes(FEATURES) or (made.takes(GAMMA) and made.takes(BETA))):
        raise InputError("its constructor takes neither num_features, nor scales and bias, nor gamma and beta")
    arrays = framework(given.arrays or "numpy")

    def make(form: Form, features: int, dtype: str, epsilon: float, **options: Any) -> ObjectLayer:
        own = {GAMMA: np.ones(features, dtype), BETA: np.zeros(features, dtype)}
        natives = {each: arrays.take(array.reshape(form.parameters)) for each, array in own.items()}
        layer = made.bound(value, {**natives, FEATURES: features, EPSILON: epsilon, **options})()
        if not (made.takes(EPSILON) or entered.takes(EPSILON)):
            _set_epsilon(layer, epsilon)
        return ObjectLayer(layer, form, entered, epsilon, arrays)

    return make


def _set_epsilon(layer: Any, epsilon: float) -> None:
    names = [name for name in vars(layer) if role(name) == EPSILON]
    if not names:
        raise InputError("its epsilon cannot be set: let its constructor take eps, or give it an attribute eps")
    for name in names:
        setattr(layer, name, epsilon)


def _abilities(make: Make, form: Form, dtype: str) -> tuple[bool, bool, bool]:
    """Whether its layers have two modes, running statistics that can be set, and a backward of inference."""
    layer, x = make(form, SMALL.shape[1], dtype, 1e-5), SMALL.astype(dtype)
    modes = has_modes(layer.layer, layer.entered)
    try:
        layer.forward(x, True)
        tracks = modes and layer.running() is not None
        layer.set_running(*np.ones((2, SMALL.shape[1]), dtype))
    except Exception:  # noqa: BLE001  # the user's code may raise anything
        return modes, False, False
    try:
        # What training left behind would hide that eval keeps nothing for a backward.
        layer = make(form, SMALL.shape[1], dtype, 1e-5)
        layer.set_running(*np.ones((2, SMALL.shape[1]), dtype))
        layer.backward(x, layer.forward(x, False)[1])
    except Exception:  # noqa: BLE001
        return modes, tracks, False
    return modes, tracks, tracks


def _momentum(value: Any) -> float | None:
    default = signature(value).defaults.get(MOMENTUM)
    return float(default) if isinstance(default, (int, float)) else None
