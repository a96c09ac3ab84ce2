"""The trainable layer: the seed's example, and what forward and backward compute."""

import numpy as np
import pytest

from bncli import BatchNorm
from bncli.core.problem import EPSILON
from bncli.errors import InputError
from layers import BROADCAST, FEATURES, REDUCED, ROUNDING, SHAPE, arrays, dtypes, formula, kernels, layouts, trained


def differences(loss, array, step=1e-6):
    """The gradient of ``loss`` by central differences, one element at a time."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        there, back = array.copy(), array.copy()
        there[index] += step
        back[index] -= step
        gradient[index] = (loss(there) - loss(back)) / (2 * step)
    return gradient


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
    axes, features, beside = REDUCED[layout], FEATURES[layout], BROADCAST[layout]

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


def test_a_forward_is_forgotten_by_the_next_of_any_batch_size():
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
