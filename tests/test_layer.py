"""The trainable layer: the seed's example, its gradients, its memory, its update and its running statistics."""

import inspect
import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncli import BatchNorm, load_kernel
from bncli.core.problem import EPSILON
from bncli.errors import InputError

SHAPE = (5, 3, 2, 4)
REDUCED = {"per-activation": (0,), "channels-last": (0, 1, 2), "channels-first": (0, 2, 3)}
FEATURES = {"per-activation": (3, 2, 4), "channels-last": (4,), "channels-first": (3,)}
BESIDE = {"per-activation": (1, 3, 2, 4), "channels-last": (1, 1, 1, 4), "channels-first": (1, 3, 1, 1)}
ROUNDING = {"float32": {"rtol": 3e-4, "atol": 3e-4}, "float64": {"rtol": 1e-6, "atol": 1e-7}}

layouts = pytest.mark.parametrize("layout", REDUCED)
dtypes = pytest.mark.parametrize("dtype", ROUNDING)
kernels = pytest.mark.parametrize("kernel", ["numpy", "reference"])


def arrays(seed, shape=SHAPE, features=FEATURES["per-activation"], dtype="float64"):
    """x, dy, scales, bias, each from a generator of its own: signed, and none of them 0 or 1."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    shapes = (shape, shape, features, features)
    x, dy, scales, bias = (rng.standard_normal(s) for rng, s in zip(streams, shapes, strict=True))
    scales = np.where(scales < 0, -1, 1) * (0.5 + np.abs(scales))
    return [a.astype(dtype) for a in (3 * x + 2, dy, scales, bias)]


def formula(x, scales, bias, layout="per-activation", epsilon=EPSILON):
    axes, beside = REDUCED[layout], BESIDE[layout]
    x_hat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return scales.reshape(beside) * x_hat + bias.reshape(beside)


def differences(loss, array, step=1e-6):
    """The gradient of ``loss`` by central differences, one element at a time."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        there, back = array.copy(), array.copy()
        there[index] += step
        back[index] -= step
        gradient[index] = (loss(there) - loss(back)) / (2 * step)
    return gradient


def trained(seed=0, dtype="float64", **options):
    """A layer after one forward of its own x, with a dy assigned; x, dy and the error to expect."""
    x, dy, scales, bias = arrays(seed, dtype=dtype)
    layer = BatchNorm(scales, bias, **options)
    layer.forward(x)
    layer.delta = dy.copy()
    expected = layer.backward()
    assert np.abs(expected).max() > 0.1
    return layer, x, dy, expected


class Strict:
    """A registered kernel that spoils ``out`` before it computes, reads only what it may, remembers ``out``."""

    def __init__(self, name="numpy"):
        kernel = load_kernel(name)
        self.out = None

        def backward(dy, saved, *, out):
            assert dy.dtype == saved.x.dtype
            assert dy.flags.c_contiguous
            self.out = out
            for array in out:
                array[...] = np.nan
            return kernel.backward(dy, saved, out=out)

        self.kernel = replace(kernel, backward=backward)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


# The seed's example

PUBLISHED = """
# first the essential import for the library.
# after the installation:
from NumPyNet.layers.batchnorm_layer import BatchNorm_layer # class import

import numpy as np # the library is entirely based on numpy

# define a batch of images in the format (batch, width, height, channels), a single image won't work in this case

batch, w, h, c = (5, 100, 100, 3) # batch != 1 in this case
input = np.random.uniform(low=0., high=1., size=(batch, w, h, c)) # you can also import some images from file

# scales (gamma) and bias (Beta) initialization (trainable weights!)
scales = np.random.uniform(low=0., high=1., size=(w, h, c))
bias   = np.random.uniform(low=0., high=1., size=(w, h, c))

# Layer initialization, with parameters scales and bias
layer = BatchNorm_layer(scales=scales, bias=bias)

# Forward pass
layer.forward(inpt=input, copy=False)
out_img = layer.output    # the output in this case will be of shape=(batch, w, h, c), so a batch of normalized, rescaled and shifted images


# Backward pass
delta       = np.random.uniform(low=0., high=1., size=input.shape)     # definition of network delta, to be backpropagated
layer.delta = np.random.uniform(low=0., high=1., size=out_img.shape) # layer delta, ideally coming from the next layer
layer.backward(delta, copy=False)

# now net_delta is modified and ready to be passed to the previous layer.delta
# and also the updates for scales and bias are computed

# update of the trainable weights
layer.update(momentum=0., decay=0., lr=1e-2, lr_decay=1.)
"""  # noqa: E501


def test_published_example_runs_with_its_import_changed():
    theirs = "from NumPyNet.layers.batchnorm_layer import BatchNorm_layer"
    example = PUBLISHED.replace(theirs, "from bncli import BatchNorm as BatchNorm_layer")
    assert example != PUBLISHED
    np.random.seed(0)  # noqa: NPY002 - the example draws from the global generator
    names = {}
    exec(example, names)  # noqa: S102 - the text just above

    x, scales, bias, layer = (names[name] for name in ("input", "scales", "bias", "layer"))
    delta, dy = names["delta"], layer.delta
    x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + EPSILON)
    np.testing.assert_allclose(names["out_img"], scales * x_hat + bias, atol=1e-8)
    dx = scales / np.sqrt(x.var(0) + EPSILON) * (dy - dy.mean(0) - x_hat * (dy * x_hat).mean(0))
    np.testing.assert_allclose(delta, dx, atol=1e-7)
    np.testing.assert_allclose(layer.scales, scales - 1e-2 * (dy * x_hat).sum(0), atol=1e-8)
    np.testing.assert_allclose(layer.bias, bias - 1e-2 * dy.sum(0), atol=1e-8)


# What forward and backward compute


@layouts
@dtypes
@kernels
def test_gradients_are_finite_differences(layout, dtype, kernel):
    x, dy, scales, bias = arrays(1, features=FEATURES[layout], dtype=dtype)
    layer = BatchNorm(scales, bias, layout=layout, kernel=kernel, epsilon=1e-3)
    y = layer.forward(x)
    layer.delta = dy
    dx = layer.backward()

    wide, dy, scales, bias = (a.astype("float64") for a in (x, dy, scales, bias))

    def loss(x, scales, bias):
        return (dy * formula(x, scales, bias, layout, 1e-3)).sum()

    assert (y.dtype, dx.dtype, layer.scales_updates.dtype, layer.bias_updates.dtype) == (np.dtype(dtype),) * 4
    np.testing.assert_allclose(y, formula(wide, scales, bias, layout, 1e-3), **ROUNDING[dtype])
    np.testing.assert_allclose(dx, differences(lambda a: loss(a, scales, bias), wide), **ROUNDING[dtype])
    dgamma, dbeta = (
        differences(lambda a: loss(wide, a, bias), scales),
        differences(lambda a: loss(wide, scales, a), bias),
    )
    np.testing.assert_allclose(layer.scales_updates, dgamma, **ROUNDING[dtype])
    np.testing.assert_allclose(layer.bias_updates, dbeta, **ROUNDING[dtype])
    assert np.abs(dx).max() > 0.05


@layouts
@kernels
def test_attributes_and_shapes(layout, kernel):
    x, dy, scales, bias = arrays(2, features=FEATURES[layout])
    layer = BatchNorm(scales, bias.ravel(), layout=layout, kernel=kernel, epsilon=0.25)
    assert layer.forward(x) is layer.output
    axes, features, beside = REDUCED[layout], FEATURES[layout], BESIDE[layout]

    assert layer.x is x
    assert layer.output.shape == layer.delta.shape == layer.x_hat.shape == SHAPE
    assert layer.delta.flags.writeable
    assert not layer.delta.any()
    for name in ("mean", "var", "inv_std", "running_mean", "running_var"):
        array = getattr(layer, name)
        assert (array.shape, array.dtype) == (features, np.float64)
    np.testing.assert_allclose(layer.mean, x.mean(axes))
    np.testing.assert_allclose(layer.var, x.var(axes))
    np.testing.assert_allclose(layer.inv_std, 1 / np.sqrt(x.var(axes) + 0.25))
    x_hat = (x - x.mean(axes, keepdims=True)) * layer.inv_std.reshape(beside)
    np.testing.assert_allclose(layer.x_hat, x_hat, atol=1e-14)
    np.testing.assert_array_equal(layer.x_norm, layer.x_hat)

    layer.delta[...] = dy
    layer.backward()
    assert (layer.scales_updates.shape, layer.bias_updates.shape) == (scales.shape, bias.ravel().shape)
    np.testing.assert_allclose(layer.bias_updates, dy.sum(axes).ravel())
    np.testing.assert_allclose(layer.scales_updates, (dy * x_hat).sum(axes))
    layer.update()
    assert (layer.scales.shape, layer.bias.shape) == (scales.shape, bias.ravel().shape)


@layouts
def test_missing_parameters_are_ones_and_zeros(layout):
    x, *_ = arrays(3, dtype="float32")
    layer = BatchNorm(layout=layout)
    layer.forward(x)
    np.testing.assert_array_equal(layer.scales, np.ones(FEATURES[layout], "float32"), strict=True)
    np.testing.assert_array_equal(layer.bias, np.zeros(FEATURES[layout], "float32"), strict=True)
    np.testing.assert_allclose(layer.output, layer.x_hat, atol=1e-5)


def test_zero_delta_gives_zero_gradients():
    x, *_ = arrays(4)
    layer = BatchNorm()
    layer.forward(x)
    assert not layer.backward().any()
    assert not layer.scales_updates.any()


def test_backward_again_gives_the_same():
    layer, _, dy, expected = trained()
    once = layer.scales_updates
    np.testing.assert_array_equal(layer.backward(), expected)
    np.testing.assert_array_equal(layer.scales_updates, once)
    np.testing.assert_array_equal(layer.delta, dy)


def test_a_forward_is_forgotten_by_the_next_whatever_its_batch_size():
    layer, *_ = trained()
    x, dy, *_ = arrays(5, shape=(9, *SHAPE[1:]))
    fresh = BatchNorm(layer.scales, layer.bias)
    for each in (layer, fresh):
        each.forward(x)
        each.delta = dy
    np.testing.assert_array_equal(layer.backward(), fresh.backward())


@layouts
def test_channels_may_have_another_size_only_where_it_is_no_feature(layout):
    layer = BatchNorm(layout=layout)
    layer.forward(arrays(6)[0])
    other, *_ = arrays(6, shape=(2, 3, 7, 4))
    if layout == "per-activation":
        with pytest.raises(InputError, match=r"^inpt has features \(3, 7, 4\), this layer \(3, 2, 4\): make another"):
            layer.forward(other)
        assert layer.output.shape == SHAPE
    else:
        assert layer.forward(other).shape == other.shape


def test_equally_many_features_of_another_shape_are_refused():
    layer = BatchNorm(scales=np.ones(24))
    layer.forward(np.ones((5, 24)) * np.arange(5.0)[:, None])
    with pytest.raises(InputError, match=r"^inpt has features \(3, 2, 4\), this layer \(24,\)"):
        layer.forward(arrays(0)[0])


# Whose memory it is


@dtypes
@kernels
def test_without_a_copy_the_input_is_kept_and_never_changed(dtype, kernel):
    x, dy, scales, bias = (read_only(a) for a in arrays(7, dtype=dtype))
    originals = [a.copy() for a in (x, dy, scales, bias)]
    layer = BatchNorm(scales, bias, kernel=kernel)
    layer.forward(x, copy=False)
    assert layer.x is x
    layer.delta = dy
    layer.backward()
    layer.update()
    layer.forward(x, training=False)
    assert not np.shares_memory(layer.output, x)
    for array, original in zip((x, dy, scales, bias), originals, strict=True):
        np.testing.assert_array_equal(array, original)


def test_with_a_copy_the_input_may_change():
    layer, x, dy, expected = trained()
    given = x.copy()
    layer.forward(given, copy=True)
    x_hat = layer.x_hat
    given[...] = 7
    layer.delta = dy
    np.testing.assert_array_equal(layer.backward(), expected)
    np.testing.assert_array_equal(layer.x_hat, x_hat)


@pytest.mark.parametrize(
    ("dtype", "change", "complaint"),
    [
        ("float32", lambda x: x, "holds float64"),
        (None, lambda x: x.astype(int), "holds int64"),
        (None, lambda x: x.astype("float16"), "holds float16"),
        (None, lambda x: x.astype(">f8"), "holds >f8"),
        (None, lambda x: x[::2], "is not contiguous and aligned"),
        (None, np.asfortranarray, "is not contiguous and aligned"),
        (None, lambda x: np.frombuffer(b"." + x.tobytes(), offset=1).reshape(x.shape), "is not contiguous and aligned"),
        (None, lambda x: x.tolist(), "is a list"),
    ],
)
def test_what_needs_a_copy_is_refused_without_one(dtype, change, complaint):
    x = change(np.round(arrays(8)[0], 3))
    layer = BatchNorm(dtype=dtype)
    mend = f"^inpt {complaint}, so it needs a copy: use copy=True or give a contiguous {dtype or 'float64'} array$"
    with pytest.raises(InputError, match=mend):
        layer.forward(x)
    assert layer.dtype == dtype
    layer.forward(x, copy=True)
    assert layer.x.flags.c_contiguous
    assert layer.x.dtype == layer.output.dtype == (dtype or "float64")
    np.testing.assert_allclose(layer.output, formula(np.array(x, "float64"), np.ones(24), np.zeros(24)), atol=1e-4)


def test_the_first_input_decides_the_type():
    x, *_ = arrays(9)
    layer = BatchNorm()
    layer.forward(x.astype("float32"))
    assert layer.dtype == "float32"
    with pytest.raises(InputError, match=r"^inpt holds float64, so it needs a copy: .* float32 array$"):
        layer.forward(x)
    assert layer.forward(x, copy=True).dtype == "float32"


def test_what_the_user_changes_after_forward_does_not_reach_the_gradients():
    layer, x, dy, expected = trained()
    layer.forward(x)
    for array in (layer.scales, layer.bias, layer.mean, layer.var, layer.inv_std, layer.output, layer.running_mean):
        array[...] = np.nan
    layer.delta = dy
    np.testing.assert_array_equal(layer.backward(), expected)


def test_a_contiguous_delta_is_written_by_the_kernel_itself():
    strict = Strict()
    layer, _, dy, expected = trained(kernel=strict.kernel)
    delta = np.full(SHAPE, np.nan)
    assert layer.backward(delta) is delta
    assert strict.out.dx.base is delta
    np.testing.assert_array_equal(delta, expected)
    np.testing.assert_array_equal(layer.delta, dy)


def every_second():
    return np.full((10, *SHAPE[1:]), np.nan)[::2]


@pytest.mark.parametrize(
    "delta",
    [every_second(), np.full(SHAPE[::-1], np.nan).T, np.full(SHAPE, np.nan, "float32"), np.full(SHAPE, np.nan, ">f8")],
    ids=["strided", "transposed", "float32", "big-endian"],
)
def test_any_other_writable_delta_is_written_too(delta):
    layer, _, dy, expected = trained()
    assert layer.backward(delta) is delta
    np.testing.assert_allclose(delta, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(layer.delta, dy)
    np.testing.assert_array_equal(layer.backward(), expected)


@kernels
@pytest.mark.parametrize("copy", [False, True])
def test_delta_is_the_layers_own(kernel, copy):
    layer, _, dy, expected = trained(kernel=Strict(kernel).kernel)
    layer.delta = delta = dy.copy()
    assert layer.backward(delta, copy=copy) is delta
    np.testing.assert_array_equal(delta, expected)
    np.testing.assert_array_equal(layer.delta, dy if copy else expected)


@kernels
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("shift", [1, -1, 3])
def test_delta_overlaps_the_layers_own(kernel, copy, shift):
    layer, _, dy, expected = trained(kernel=Strict(kernel).kernel)
    buffer = np.empty(dy.size + abs(shift))
    start, end = max(shift, 0), max(-shift, 0)
    layer.delta = buffer[start : start + dy.size].reshape(SHAPE)
    layer.delta[...] = dy
    delta = buffer[end : end + dy.size].reshape(SHAPE)
    layer.backward(delta, copy=copy)
    np.testing.assert_array_equal(delta, expected)
    assert np.array_equal(layer.delta, dy) == copy


@pytest.mark.parametrize("dtype", ["float32", ">f8"])
def test_the_layers_delta_may_need_conversion(dtype):
    layer, _, dy, _ = trained(kernel=Strict().kernel)
    layer.delta = own = dy.astype(dtype)
    delta = own.copy()
    expected = BatchNorm(layer.scales, layer.bias)
    expected.forward(layer.x)
    expected.delta = own.astype("float64")
    dx = expected.backward()
    np.testing.assert_array_equal(layer.backward(), dx)
    assert layer.delta is own
    np.testing.assert_array_equal(own, delta)
    layer.backward(own, copy=True)
    assert layer.delta.dtype == "float64"
    np.testing.assert_allclose(own, dx, rtol=1e-6, atol=1e-6)


@kernels
def test_delta_is_the_input(kernel):
    layer, x, dy, expected = trained(kernel=Strict(kernel).kernel)
    given = x.copy()
    layer.forward(given)
    layer.delta = dy
    assert layer.backward(given) is given
    np.testing.assert_array_equal(given, expected)
    for again in (layer.backward, lambda: layer.x_hat):
        with pytest.raises(
            InputError, match=r"^backward wrote its error over the input .*: call forward\(inpt\) again$"
        ):
            again()
    layer.update()
    layer.forward(x)
    layer.backward()


def test_delta_overlaps_the_input():
    layer, x, dy, expected = trained(kernel=Strict().kernel)
    buffer = np.empty((8, *SHAPE[1:]))
    buffer[:5] = x
    layer.forward(buffer[:5])
    layer.delta = dy
    layer.backward(buffer[3:])
    np.testing.assert_array_equal(buffer[3:], expected)
    with pytest.raises(InputError, match=r"^backward wrote its error over the input"):
        layer.backward()


def test_delta_lies_around_the_input_without_touching_it():
    x, dy, *_ = arrays(10, shape=(2, *SHAPE[1:]))
    buffer = np.empty((4, *SHAPE[1:]))
    buffer[1:3] = x
    layer = BatchNorm(kernel=Strict().kernel)
    layer.forward(buffer[1:3])
    layer.delta = dy
    dx = layer.backward()
    layer.backward(buffer[::3])
    np.testing.assert_array_equal(buffer[::3], dx)
    np.testing.assert_array_equal(layer.backward(), dx)


def test_delta_is_the_output():
    layer, x, dy, expected = trained(kernel=Strict().kernel)
    layer.forward(x)
    layer.delta = dy
    layer.backward(layer.output)
    np.testing.assert_array_equal(layer.output, expected)
    np.testing.assert_array_equal(layer.backward(), expected)


# Memory that is used again


def address(array):
    return array.ctypes.data


# For channels the kernel numba has another engine than for activations, which takes long to compile.
@pytest.mark.parametrize(
    ("kernel", "layout"),
    [
        *(("numpy", layout) for layout in REDUCED),
        ("numba", "per-activation"),
        pytest.param("numba", "channels-last", marks=pytest.mark.slow),
        pytest.param("numba", "channels-first", marks=pytest.mark.slow),
    ],
)
def test_reused_memory_holds_the_same_results_step_by_step(layout, kernel):
    plain, thrifty = (BatchNorm(layout=layout, kernel=kernel, reuse_buffers=reuse) for reuse in (False, True))
    places = set()
    for seed, training in enumerate((True, True, False, True)):
        x, dy, *_ = arrays(seed)
        outputs = [layer.forward(x, training=training) for layer in (plain, thrifty)]
        np.testing.assert_array_equal(*outputs)
        if training:
            plain.delta = thrifty.delta = dy
            errors = [layer.backward() for layer in (plain, thrifty)]
            np.testing.assert_array_equal(*errors)
            np.testing.assert_array_equal(thrifty.output, outputs[0])
            places.add((address(outputs[1]), address(errors[1])))
            for layer in (plain, thrifty):
                layer.update()
    assert len(places) == 1
    assert len(set(places.pop())) == 2


def test_memory_is_not_used_again_unless_asked():
    layer, x, dy, expected = trained()
    output = layer.output
    before = output.copy()
    layer.forward(x + 1)
    layer.delta = dy
    assert not np.shares_memory(layer.output, output)
    assert not np.shares_memory(layer.backward(), expected)
    np.testing.assert_array_equal(output, before)


def test_reused_memory_follows_the_batch_size():
    layer, x, *_ = trained(reuse_buffers=True)
    for batch in (x[:3], x):
        y = layer.forward(batch)
        np.testing.assert_array_equal(y, BatchNorm(layer.scales, layer.bias).forward(batch))
        assert address(layer.forward(batch)) == address(y)


def test_an_input_in_reused_memory_is_left_alone():
    layer, x, dy, expected = trained(reuse_buffers=True)
    for kept in (layer.output, expected):
        kept[...] = x
        y = layer.forward(kept)
        np.testing.assert_array_equal(kept, x)
        layer.delta = dy
        dx = layer.backward()
        np.testing.assert_array_equal(kept, x)
        plain = BatchNorm(layer.scales, layer.bias)
        np.testing.assert_array_equal(y, plain.forward(x))
        plain.delta = dy
        np.testing.assert_array_equal(dx, plain.backward())


def test_a_dy_in_reused_memory_is_left_alone():
    layer, _, dy, expected = trained(kernel=Strict().kernel, reuse_buffers=True)
    correct = expected.copy()
    expected[...] = dy
    layer.delta = expected
    np.testing.assert_array_equal(layer.backward(), correct)
    np.testing.assert_array_equal(layer.delta, dy)


def test_a_given_delta_is_not_written_to_by_the_next_step():
    layer, x, dy, expected = trained(reuse_buffers=True)
    correct = expected.copy()
    delta = layer.backward(np.empty_like(x))
    layer.forward(2 * x)
    layer.delta = -dy
    layer.backward()
    np.testing.assert_array_equal(delta, correct)


# The update


@given(
    momentum=st.floats(0, 0.99),
    decay=st.floats(0, 0.5),
    rates=st.lists(st.floats(1e-4, 0.5), min_size=1, max_size=6),
    lr_decay=st.floats(0.5, 1.1),
)
@settings(deadline=None, derandomize=True)
def test_update_is_the_documented_rule(momentum, decay, rates, lr_decay):
    x, dy, scales, bias = arrays(11, shape=(4, 2), features=(2,))
    layer = BatchNorm(scales, bias)
    p, v = [*scales, *bias], [0.0] * 4
    for t, lr in enumerate(rates):
        assert layer.steps == t
        layer.forward(x)
        layer.delta = dy
        layer.backward()
        g = [*layer.scales_updates, *layer.bias_updates]
        layer.update(momentum=momentum, decay=decay, lr=lr, lr_decay=lr_decay)
        for i in range(4):
            v[i] = momentum * v[i] - lr * lr_decay**t * (g[i] + decay * p[i])
            p[i] = p[i] + v[i]
        np.testing.assert_allclose([*layer.scales, *layer.bias], p, rtol=1e-9, atol=1e-12)


def test_parameters_are_copied():
    x, _, scales, bias = arrays(12)
    layer = BatchNorm(scales, bias)
    y = layer.forward(x)
    scales[...] = bias[...] = 7
    np.testing.assert_array_equal(layer.forward(x), y)


def test_update_leaves_the_users_arrays_alone():
    x, dy, scales, bias = arrays(12)
    kept = scales.copy(), bias.copy()
    layer = BatchNorm(scales, bias)
    for _ in range(2):
        layer.forward(x)
        layer.delta = dy
        layer.backward()
        layer.update(momentum=0.9, lr=0.1)
        layer.scales, layer.bias = scales, bias  # assigned: theirs again
    np.testing.assert_array_equal(scales, kept[0])
    np.testing.assert_array_equal(bias, kept[1])


def test_an_assigned_parameter_may_come_in_its_other_shape():
    layer, x, dy, _ = trained()
    v = -1e-2 * layer.scales_updates.ravel()
    layer.update(momentum=0.5)
    layer.scales = flat = layer.scales.ravel()
    layer.forward(x)
    layer.delta = dy
    layer.backward()
    assert layer.scales_updates.shape == (24,)
    g = layer.scales_updates
    layer.update(momentum=0.5)
    np.testing.assert_allclose(layer.scales, flat + 0.5 * v - 1e-2 * g)


def test_update_keeps_float32():
    layer, *_ = trained(dtype="float32")
    layer.update(momentum=np.float64(0.9), lr=np.float64(0.1))
    assert layer.scales.dtype == layer.bias.dtype == np.float32


def test_update_goes_downhill():
    x, target, scales, bias = arrays(13)
    layer = BatchNorm(scales, bias)
    losses = []
    for _ in range(30):
        error = layer.forward(x) - target
        losses.append((error**2).sum())
        layer.delta = 2 * error
        layer.backward()
        layer.update(lr=0.02, momentum=0.5)
    assert losses[-1] < 0.5 * losses[0]


def test_update_takes_the_last_backward_even_after_another_forward():
    layer, x, *_ = trained()
    scales, gradient = layer.scales, layer.scales_updates
    layer.forward(x, training=False)
    layer.update(lr=0.5)
    np.testing.assert_allclose(layer.scales, scales - 0.5 * gradient)


# The running statistics


@layouts
@kernels
@pytest.mark.parametrize("running_variance", ["biased", "unbiased"])
def test_running_statistics_are_the_documented_ones(layout, kernel, running_variance):
    axes = REDUCED[layout]
    layer = BatchNorm(layout=layout, kernel=kernel, running_momentum=0.3, running_variance=running_variance)
    mean, var = np.zeros(FEATURES[layout]), np.ones(FEATURES[layout])
    for seed, batch in enumerate((5, 2, 7)):
        x, *_ = arrays(seed, shape=(batch, *SHAPE[1:]))
        layer.forward(x)
        mean = 0.7 * mean + 0.3 * x.mean(axes)
        var = 0.7 * var + 0.3 * x.var(axes, ddof=running_variance == "unbiased")
        np.testing.assert_allclose(layer.running_mean, mean)
        np.testing.assert_allclose(layer.running_var, var)
        np.testing.assert_allclose(layer.var, x.var(axes))


def test_running_statistics_by_default():
    x = np.array([[1.0], [3.0]])
    layer = BatchNorm()
    layer.forward(x)
    np.testing.assert_allclose((layer.running_mean[0], layer.running_var[0]), (0.9 * 0 + 0.1 * 2, 0.9 * 1 + 0.1 * 1))
    torch_like = BatchNorm(running_variance="unbiased")
    torch_like.forward(x)
    np.testing.assert_allclose(torch_like.running_var, 0.9 * 1 + 0.1 * 2)


@layouts
@dtypes
@kernels
def test_inference_takes_the_running_statistics(layout, dtype, kernel):
    x, _, scales, bias = arrays(14, features=FEATURES[layout], dtype=dtype)
    layer = BatchNorm(scales, bias, layout=layout, kernel=kernel, running_momentum=0.5, epsilon=1e-3)
    layer.forward(x)
    mean, var = layer.running_mean.copy(), layer.running_var.copy()
    other = arrays(15, shape=(2, *SHAPE[1:]), dtype=dtype)[0]
    y = layer.forward(other, training=False)

    beside = BESIDE[layout]
    x_hat = (other - mean.reshape(beside)) / np.sqrt(var.reshape(beside) + 1e-3)
    assert y.dtype == layer.delta.dtype == dtype
    assert y.shape == layer.delta.shape == other.shape
    np.testing.assert_allclose(y, scales.reshape(beside) * x_hat + bias.reshape(beside), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.x_hat, x_hat, rtol=1e-4, atol=1e-4)
    for now, then in ((layer.running_mean, mean), (layer.running_var, var), (layer.mean, mean), (layer.var, var)):
        np.testing.assert_array_equal(now, then)
    layer.mean[...] = layer.var[...] = 7
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)


def test_inference_before_any_training_starts_from_0_and_1():
    x, *_ = arrays(16)
    np.testing.assert_allclose(BatchNorm(epsilon=3.0).forward(x, training=False), x / 2)


def test_there_is_no_backward_after_inference():
    layer, x, *_ = trained()
    layer.forward(x, training=False)
    with pytest.raises(InputError, match=r"^the last forward took the running statistics.*: use training=True$"):
        layer.backward()


# One sample per feature


@dtypes
@pytest.mark.parametrize("running_variance", ["biased", "unbiased"])
def test_one_sample_warns_and_has_no_gradient(dtype, running_variance):
    x, dy, scales, bias = arrays(17, shape=(1, *SHAPE[1:]), dtype=dtype)
    layer = BatchNorm(scales, bias, running_variance=running_variance)
    line = inspect.currentframe().f_lineno + 2
    with pytest.warns(UserWarning, match=r"^one sample per feature: .*; give a larger batch$") as caught:
        layer.forward(1000 * x)
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)
    np.testing.assert_array_equal(layer.output[0], bias)
    np.testing.assert_array_equal(layer.running_var, 1 if running_variance == "unbiased" else 0.9)
    np.testing.assert_allclose(layer.running_mean, 0.1 * 1000 * x[0])
    layer.delta = dy
    delta = np.full(x.shape, np.nan, dtype)
    layer.backward(delta)
    assert not delta.any()
    np.testing.assert_allclose(layer.bias_updates, dy[0], rtol=1e-6)


def test_one_image_of_many_pixels_is_no_single_sample():
    x, *_ = arrays(18, shape=(1, *SHAPE[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchNorm(layout="channels-last").forward(x)
        BatchNorm().forward(x, training=False)


# What is refused


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"layout": "channels"}, "^unknown layout 'channels': use per-activation, channels-last, channels-first$"),
        ({"epsilon": -1.0}, "^epsilon -1.0 cannot be used: it must be finite and not negative$"),
        ({"dtype": "float16"}, "^kernel 'numpy' does not take float16: use float32 or float64$"),
        ({"dtype": "wide"}, "^kernel 'numpy' does not take wide: use float32 or float64$"),
        ({"kernel": "nunpy"}, "^no kernel is called 'nunpy': did you mean 'numpy'"),
        ({"running_momentum": 1.5}, "^running_momentum is 1.5: give the new batch's weight, from 0 to 1$"),
        ({"running_variance": "sample"}, "^unknown running_variance 'sample': use biased or unbiased$"),
        ({"scales": ["one"]}, "^scales holds <U3: give an array of real numbers$"),
        ({"bias": [1j]}, "^bias holds complex128: give an array of real numbers$"),
        ({"bias": [[1.0], []]}, "^bias is ragged: give an array of real numbers$"),
    ],
)
def test_the_constructor_refuses(options, complaint):
    with pytest.raises(InputError, match=complaint):
        BatchNorm(**options)


@pytest.mark.parametrize("dtype", [np.float32, "float32", np.dtype(">f4"), "f4"])
def test_any_name_of_a_dtype_will_do(dtype):
    assert BatchNorm(dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("name", ["scales", "bias"])
@pytest.mark.parametrize("shape", [(), (4,), (23,), (4, 2, 3), (1, 3, 2, 4)])
def test_parameters_of_a_wrong_shape_are_refused(name, shape):
    layer = BatchNorm(**{name: np.ones(shape)})
    needs = f"{name} has shape {shape}, but an input of {SHAPE} needs (3, 2, 4) or (24,)"
    with pytest.raises(InputError, match=f"^{re.escape(needs)}$"):
        layer.forward(arrays(0)[0])


@pytest.mark.parametrize(
    ("inpt", "complaint"),
    [
        (np.ones(3), "^shape '3' has no feature axis"),
        (np.ones((0, 3)), "^shape '0x3' is empty"),
        (np.ones((2, 3), complex), "^inpt holds complex128: give an array of real numbers$"),
        (np.array([["a"]]), "^inpt holds <U1: give an array of real numbers$"),
        ([[1.0], [1.0, 2.0]], "^inpt is ragged: give an array of real numbers$"),
    ],
)
@pytest.mark.parametrize("copy", [False, True])
def test_inputs_that_make_no_batch_are_refused(inpt, complaint, copy):
    with pytest.raises(InputError, match=complaint):
        BatchNorm().forward(inpt, copy=copy)


def test_a_refused_forward_changes_nothing():
    layer, _, _, expected = trained()
    state = {name: value.copy() for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    for options in ({"inpt": np.ones((2, 5))}, {"inpt": np.ones(SHAPE, int)}, {"inpt": np.ones(4), "training": False}):
        with pytest.raises(InputError):
            layer.forward(**options)
    for name, value in state.items():
        np.testing.assert_array_equal(getattr(layer, name), value)
    np.testing.assert_array_equal(layer.backward(), expected)


@pytest.mark.parametrize("use", [BatchNorm.backward, lambda layer: layer.x_hat])
def test_nothing_goes_backward_before_a_forward(use):
    with pytest.raises(InputError, match=r"^there is no forward to go back through: call forward\(inpt\) first$"):
        use(BatchNorm())


@pytest.mark.parametrize(
    ("assigned", "complaint"),
    [
        (np.ones((5, 3, 2)), r"^layer\.delta has shape \(5, 3, 2\): assign one of the output's shape, \(5, 3, 2, 4\)$"),
        (np.ones(SHAPE, complex), r"^layer\.delta holds complex128: give an array of real numbers$"),
        (None, r"^layer\.delta holds object: give an array of real numbers$"),
    ],
)
def test_an_assigned_delta_that_does_not_fit_is_refused(assigned, complaint):
    layer, *_ = trained()
    layer.delta = assigned
    with pytest.raises(InputError, match=complaint):
        layer.backward()


@pytest.mark.parametrize(
    ("delta", "complaint"),
    [
        (np.ones((3, 2, 4)), r"^delta has shape \(3, 2, 4\): give one of the input's shape, \(5, 3, 2, 4\)$"),
        (read_only(np.ones(SHAPE)), "^delta cannot take the error: give a writable array of floats"),
        (np.ones(SHAPE, int), "^delta cannot take the error: give a writable array of floats"),
        (np.ones(SHAPE).tolist(), "^delta cannot take the error: give a writable array of floats"),
    ],
)
def test_a_delta_that_cannot_be_written_is_refused(delta, complaint):
    layer, *_ = trained()
    with pytest.raises(InputError, match=complaint):
        layer.backward(delta)


def test_an_update_needs_a_backward_of_its_own():
    layer = BatchNorm()
    for prepare in (list, lambda: layer.forward(arrays(0)[0]), lambda: (layer.backward(), layer.update())):
        prepare()
        with pytest.raises(InputError, match=r"^update has no gradient that is not used up: call backward\(\) first$"):
            layer.update()
    assert layer.steps == 1


@pytest.mark.parametrize("name", ["momentum", "decay", "lr", "lr_decay"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_an_update_refuses_what_would_ruin_the_parameters(name, value):
    layer, *_ = trained()
    with pytest.raises(InputError, match=f"^{name} is {value}: it must be finite and not negative$"):
        layer.update(**{name: value})
    layer.update()


def test_a_kernel_without_infer_trains_but_does_not_infer():
    layer, x, *_ = trained(kernel=replace(load_kernel("numpy"), infer=None))
    with pytest.raises(InputError, match=r"^kernel 'numpy' has no infer: use training=True or another kernel$"):
        layer.forward(x, training=False)


@pytest.mark.parametrize("hidden", ["mean", "var", "inv_std"])
def test_a_kernel_that_hides_its_statistics_cannot_train(hidden):
    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = load_kernel("numpy").forward(x, gamma, beta, epsilon, out=out)
        return y, SimpleNamespace(**{k: v for k, v in saved._asdict().items() if k != hidden})

    layer = BatchNorm(kernel=replace(load_kernel("numpy"), name="sly", forward=forward))
    x, *_ = arrays(0)
    with pytest.raises(InputError, match=r"^kernel 'sly' hides its statistics: give its saved mean, var and inv_std$"):
        layer.forward(x)
    layer.forward(x, training=False)


def test_a_kernel_of_one_type_refuses_the_others():
    kernel = replace(load_kernel("numpy"), dtypes=("float32",))
    with pytest.raises(InputError, match=r"^kernel 'numpy' does not take float64: use float32$"):
        BatchNorm(kernel=kernel).forward(arrays(0)[0])
    assert BatchNorm(kernel=kernel, dtype="float32").forward(arrays(0)[0], copy=True).dtype == "float32"
