"""A layer's update, and its running statistics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from bncli import BatchNorm, load_kernel
from layers import BROADCAST, FEATURES, REDUCED, ROUNDING, SHAPE, arrays, dtypes, kernels, layouts, trained

WITHOUT = replace(load_kernel("numpy"), infer_forward=None, infer_backward=None)


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

    beside = BROADCAST[layout]
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


@layouts
@dtypes
@pytest.mark.parametrize("kernel", ["numpy", "reference", WITHOUT], ids=["numpy", "reference", "without"])
def test_the_backward_of_inference_takes_the_running_statistics_as_constants(layout, dtype, kernel):
    x, dy, scales, bias = arrays(17, features=FEATURES[layout], dtype=dtype)
    layer = BatchNorm(scales, bias, layout=layout, kernel=kernel, running_momentum=0.5, epsilon=1e-3)
    layer.forward(x)
    other = arrays(18, shape=(2, *SHAPE[1:]), dtype=dtype)[0]
    layer.forward(other, training=False)
    layer.delta = dy[:2].copy()
    found = layer.backward()
    expected = naive.infer_backward(
        other, scales.ravel(), dy[:2], layer.running_mean.ravel(), layer.running_var.ravel(), 1e-3, layout
    )
    np.testing.assert_allclose(found, expected["dx"], **ROUNDING[dtype])
    np.testing.assert_allclose(layer.scales_updates.ravel(), expected["dgamma"], **ROUNDING[dtype])
    np.testing.assert_allclose(layer.bias_updates.ravel(), expected["dbeta"], **ROUNDING[dtype])
    assert found.dtype == layer.scales_updates.dtype == dtype
    layer.update(lr=0.1)
    np.testing.assert_allclose(layer.bias, bias - 0.1 * layer.bias_updates.reshape(bias.shape), **ROUNDING[dtype])


def test_in_inference_one_sample_has_a_gradient():
    layer, x, dy, _ = trained(epsilon=1e-3)
    layer.forward(x[:1], training=False)
    layer.delta = dy[:1].copy()
    np.testing.assert_allclose(layer.backward(), layer.scales * layer.inv_std * dy[:1])


def test_the_mode_of_the_last_forward_decides_its_backward():
    layer, x, dy, expected = trained()
    layer.forward(x, training=False)
    layer.mean[...] = layer.inv_std[...] = 7  # the caller's own
    layer.delta = dy.copy()
    assert np.abs(layer.backward() - expected).max() > 0.1
    layer.forward(x)
    layer.delta = dy.copy()
    np.testing.assert_array_equal(layer.backward(), expected)
