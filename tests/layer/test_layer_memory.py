"""Whose memory a layer's input, output and delta are."""

import numpy as np
import pytest

from bncli import BatchNorm
from bncli.errors import InputError
from layers import SHAPE, Strict, arrays, dtypes, formula, kernels, read_only, trained


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
