"""Small kernels for the tests of the search: right ones in several styles, and one for each kind of fault."""

import dataclasses
import itertools

import numpy as np

from bncli.core.kernel import Gradients, Kernel

SAMPLES = (0, 2)

# The formulas, with what a fault changes


def statistics(x, epsilon):
    wide = x.astype("float64")
    centred = wide - wide.mean(SAMPLES, keepdims=True)
    var = (centred * centred).mean(SAMPLES)
    return centred, var, 1 / np.sqrt(var + epsilon)


def forward(x, gamma, beta, epsilon, *, out=None):
    centred, _, inv_std = statistics(x, epsilon)
    x_hat = centred * inv_std[:, None]
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * x_hat + beta[:, None]
    return y, (x_hat, gamma, inv_std)


def backward(dy, saved, *, out=None):
    x_hat, gamma, inv_std = saved
    wide = dy.astype("float64")
    dgamma, dbeta = (wide * x_hat).mean(SAMPLES), wide.mean(SAMPLES)
    count = dy.shape[0] * dy.shape[2]
    dx = (gamma * inv_std)[:, None] * (wide - dbeta[:, None] - x_hat * dgamma[:, None])
    found = Gradients(*(a.astype(dy.dtype) for a in (dx, count * dgamma, count * dbeta)))
    if out is None:
        return found
    for into, array in zip(out, found, strict=True):
        into[...] = array
    return out


def infer(x, gamma, beta, mean, var, epsilon, *, out=None):
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * ((x - mean[:, None]) / np.sqrt(var + epsilon)[:, None]) + beta[:, None]
    return y


RIGHT = Kernel(forward, backward, infer, name="right")


def changed(when=lambda x: True, change=lambda y: None, of="y"):
    """A kernel that is wrong where ``when(x or dy)``: it then changes an array in place."""

    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = forward(x, gamma, beta, epsilon, out=out)
        if of == "y" and when(x):
            change(y)
        return y, saved

    def wrong_backward(dy, saved, *, out=None):
        found = backward(dy, saved, out=out)
        if of != "y" and when(dy):
            change(getattr(Gradients(*found), of))
        return found

    return dataclasses.replace(RIGHT, forward=wrong_forward, backward=wrong_backward, name="wrong")


def in_forward(prepare):
    """A kernel whose forward sees other arguments than it was given."""
    return dataclasses.replace(RIGHT, forward=lambda *given, out=None: forward(*prepare(*given), out=out))


def doubled(array):
    array *= 2


def ring(turns):
    buffers = {}

    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, (x_hat, *rest) = forward(x, gamma, beta, epsilon, out=out)
        kept = buffers.setdefault(x.shape, itertools.cycle([np.empty(x.shape) for _ in range(turns)]))
        into = next(kept)
        into[...] = x_hat
        return y, (into, *rest)

    return dataclasses.replace(RIGHT, forward=wrong_forward)


def adds_up():
    total = {}

    def wrong_backward(dy, saved, *, out=None):
        dx, dgamma, dbeta = backward(dy, saved)
        total[dy.shape[1]] = total.get(dy.shape[1], 0) + dgamma
        return dx, total[dy.shape[1]].astype(dy.dtype), dbeta

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def first_epsilon():
    plans = {}
    return in_forward(lambda x, gamma, beta, epsilon: (x, gamma, beta, plans.setdefault(x.shape, epsilon)))


def later(after):
    calls = itertools.count()
    return changed(lambda dy: next(calls) >= after, doubled, of="dx")


def by_identity():
    kept = {}

    def wrong(x, gamma, beta, mean, var, epsilon, *, out=None):
        kept.setdefault(gamma.ctypes.data, (gamma, gamma.copy()))
        return infer(x, kept[gamma.ctypes.data][1], beta, mean, var, epsilon, out=out)

    return dataclasses.replace(RIGHT, infer=wrong)


def dense(array):
    """What a function in C sees that takes the memory for contiguous."""
    return np.lib.stride_tricks.as_strided(array, array.shape, np.empty(array.shape, array.dtype).strides)


def raw_dy():
    return dataclasses.replace(RIGHT, backward=lambda dy, saved, *, out=None: backward(dense(dy), saved, out=out))


def raw_infer():
    return dataclasses.replace(RIGHT, infer=lambda x, *rest, out=None: infer(dense(x), *rest, out=out))


def one_pass(x, gamma, beta, epsilon, *, out=None):
    mean = x.mean(SAMPLES)
    var = np.maximum((x * x).mean(SAMPLES) - mean * mean, 0)
    inv_std = 1 / np.sqrt(var + x.dtype.type(epsilon))
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma, inv_std)


def saved_y():
    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, (_, *rest) = forward(x, gamma, beta, epsilon, out=out)
        return y, (y, beta.copy(), *rest)

    def wrong_backward(dy, saved, *, out=None):
        y, beta, gamma, inv_std = saved
        safe = np.where(gamma == 0, 1, gamma)
        return backward(dy, ((y - beta[:, None].astype("float64")) / safe[:, None], gamma, inv_std), out=out)

    return dataclasses.replace(RIGHT, forward=wrong_forward, backward=wrong_backward)


def damages_saved():
    def wrong_backward(dy, saved, *, out=None):
        found = backward(dy, saved, out=out)
        saved[0][...] *= 2
        return found

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def crashes_again():
    used = []

    def wrong_backward(dy, saved, *, out=None):
        if any(each is saved for each in used):
            raise IndexError("pop from empty list")
        used.append(saved)
        return backward(dy, saved, out=out)

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def writes_into_x():
    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        result = forward(x, gamma, beta, epsilon, out=out)
        if x.flags.writeable:
            x[...] = 0
        return result

    return dataclasses.replace(RIGHT, forward=wrong_forward)


def half_sums():
    def wrong_backward(dy, saved, *, out=None):
        dx, dgamma, _ = backward(dy, saved)
        flat = dy.transpose(1, 0, 2).reshape(dy.shape[1], -1)
        return dx, dgamma, np.add.accumulate(flat, axis=1, dtype=dy.dtype)[:, -1]

    return dataclasses.replace(RIGHT, backward=wrong_backward, dtypes=("float16", "float32"))


WRONG = {
    "inner a multiple of 4": lambda: changed(lambda x: x.shape[2] % 4 == 0, doubled),
    "inner odd and above 1": lambda: changed(lambda x: x.shape[2] % 2 == 1 < x.shape[2], doubled, of="dx"),
    "F a multiple of 32": lambda: changed(lambda dy: dy.shape[1] % 32 == 0, doubled, of="dgamma"),
    "more than 256 samples": lambda: changed(lambda dy: dy.shape[0] * dy.shape[2] > 256, doubled, of="dbeta"),
    "more than 1,024 items": lambda: changed(lambda x: x.shape[0] > 1024, doubled),
    "more than 32,767 samples": lambda: changed(lambda x: x.shape[0] * x.shape[2] > 32767, doubled),
    "more than 65,535 features": lambda: changed(lambda x: x.shape[1] > 65535, doubled),
    "more than 32,768 elements": lambda: changed(lambda x: x.size > 32768, doubled),
    "N == F": lambda: changed(lambda x: x.shape[0] == x.shape[1], doubled),
    "inner == F": lambda: changed(lambda x: x.shape[2] == x.shape[1], doubled),
    "one item": lambda: changed(lambda x: x.shape[0] == 1 < x.shape[2], doubled),
    "one sample": lambda: changed(lambda x: x.shape[0] * x.shape[2] == 1, doubled),
    "gamma all 1": lambda: in_forward(lambda x, g, b, e: (x, 2 * g if (g == 1).all() else g, b, e)),
    "gamma all 0": lambda: in_forward(lambda x, g, b, e: (x, g, b + 1 if not g.any() else b, e)),
    "gamma clipped at 10": lambda: in_forward(lambda x, g, b, e: (x, np.clip(g, -10, 10), b, e)),
    "x clipped at 65,504": lambda: in_forward(lambda x, g, b, e: (np.clip(x, -65504, 65504), g, b, e)),
    "dy clipped at 100": lambda: changed(lambda dy: np.abs(dy).max() > 100, lambda dx: dx.fill(0), of="dx"),
    "epsilon at least 1e-12": lambda: in_forward(lambda x, g, b, e: (x, g, b, max(e, 1e-12))),
    "NaN becomes 0": lambda: in_forward(lambda x, g, b, e: (np.nan_to_num(x), g, b, e)),
    "subnormal x becomes 0": lambda: in_forward(
        lambda x, g, b, e: (np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x), g, b, e)
    ),
    "variance in one pass": lambda: dataclasses.replace(RIGHT, forward=one_pass),
    "the first epsilon is kept": first_epsilon,
    "saved lies in 8 buffers": lambda: ring(8),
    "dgamma adds up": adds_up,
    "wrong from the 101st call on": lambda: later(101),
    "infer keeps gamma by its address": by_identity,
    "backward takes dy for contiguous": raw_dy,
    "infer takes x for contiguous": raw_infer,
    "backward needs y as it was": saved_y,
    "backward damages saved": damages_saved,
    "a second backward crashes": crashes_again,
    "forward writes into x": writes_into_x,
    "sums in float16": half_sums,
    "y is float64": lambda: dataclasses.replace(
        RIGHT, forward=lambda *given, out=None: (forward(*given)[0].astype("float64"), forward(*given)[1])
    ),
}


# Right kernels


def own_type(x, gamma, beta, epsilon):
    centred = x - x.mean(SAMPLES, keepdims=True)
    std = ((centred * centred).mean(SAMPLES, keepdims=True) + epsilon) ** 0.5
    x_hat = centred / std
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)


def own_type_back(dy, saved):
    x_hat, scale = saved
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES, keepdims=True), (dy * x_hat).mean(SAMPLES, keepdims=True)
    return scale * (dy - mean_dy - x_hat * mean_dy_x_hat), (dy * x_hat).sum(SAMPLES), dy.sum(SAMPLES)


OWN_TYPE = Kernel(own_type, own_type_back, name="own-type")


def refuses(x, gamma, beta, epsilon, *, out=None):
    if x.shape[0] * x.shape[2] == 1:
        raise ValueError("Expected more than 1 value per channel when training")
    if not x.flags.c_contiguous:
        raise NotImplementedError("x is not contiguous")
    return forward(x, gamma, beta, epsilon, out=out)


def once(dy, saved, *, out=None):
    if len(saved) == 4:
        raise RuntimeError("Trying to backward through the graph a second time")
    found = backward(dy, saved, out=out)
    saved.append("used")
    return found


def listed(*given, out=None):
    y, saved = forward(*given, out=out)
    return y, list(saved)


GOOD = {
    "float64 inside": RIGHT,
    "x's own type": OWN_TYPE,
    "refuses": dataclasses.replace(RIGHT, forward=refuses),
    "single use": dataclasses.replace(RIGHT, forward=listed, backward=once),
    "folded": dataclasses.replace(
        RIGHT,
        infer=lambda x, g, b, m, v, e, *, out=None: (
            x * (g / np.sqrt(v + e))[:, None] + (b - m * (g / np.sqrt(v + e)))[:, None]
        ).astype(x.dtype) if out is None else infer(x, g, b, m, v, e, out=out),
    ),
    "half precision": dataclasses.replace(RIGHT, dtypes=("float16",)),
}  # fmt: skip
