"""Whatever a term of dx may be multiplied by, the axes of its means and the samples in them."""

import numpy as np
import pytest

from right_values import DY, MEAN, PROD, SAMPLES, SPATIAL, X_HAT, K, agrees, diagnosed, mean

# What a term of dx may be multiplied by; " in" is followed by the term.
OF_A_TERM = {
    "is missing": lambda r: 0,
    "has the wrong sign": lambda r: -1,
    "is 2 times what it should be": lambda r: 2,
    "is 0.5 of what it should be": lambda r: 0.5,
    "gamma is forgotten in": lambda r: 1 / r.gamma,
    "gamma is applied twice in": lambda r: r.gamma,
    "gamma divides where it should multiply in": lambda r: 1 / r.gamma**2,
    "the sign of gamma is lost in": lambda r: np.sign(r.gamma),
}
OF_DY = {
    K + ": divided by {samples}, the number of samples": lambda r: 1 / r.samples,
    K + ": divided by {batch}, the batch size": lambda r: 1 / r.batch,
    K + ": divided by {spatial}, the positions of one item": lambda r: 1 / r.spatial,
    K + f": divided by {PROD}": lambda r: 1 / r.features,
    K + ": multiplied by {samples}, the number of samples": lambda r: r.samples,
}
OF_A_MEAN = {
    K + ": divided by {fewer}, one less than the {samples} samples that were averaged": (
        lambda r: r.samples / (r.samples - 1)
    ),
    K + ": summed over the {samples} samples, not averaged": lambda r: r.samples,
    K + f": divided by {PROD}, where {{samples}} samples were averaged": lambda r: r.samples / r.features,
    K + f": averaged, and then divided by {PROD}, once more": lambda r: 1 / r.features,
    K + ": averaged twice, divided by {samples}, the number of samples, once more": lambda r: 1 / r.samples,
    K + ": divided by {batch}, the batch size alone, where {samples} samples were averaged": lambda r: r.spatial,
    K + ": divided by {spatial}, the positions of one item alone, where {samples} samples were averaged": (
        lambda r: r.batch
    ),
    K + ": averaged, and then divided by {batch}, the batch size, once more": lambda r: 1 / r.batch,
    K + ": averaged, and then divided by {spatial}, the positions of one item, once more": lambda r: 1 / r.spatial,
    K + ": divided by one more than the {samples} samples": lambda r: r.samples / (r.samples + 1),
    K + ": multiplied by {fewer} / {samples}": lambda r: (r.samples - 1) / r.samples,
}
OF_SCALE = {
    "inv_std is forgotten in": lambda r: r.std,
    "inv_std is applied twice in": lambda r: 1 / r.std,
    "sqrt(var + epsilon) multiplies where it should divide in": lambda r: r.std**2,
    "var + epsilon stands where inv_std belongs in": lambda r: r.std**3,
    "gamma and inv_std are forgotten in": lambda r: r.std / r.gamma,
}
TERMS = {
    "dy": (DY, OF_A_TERM | OF_DY | OF_SCALE),
    "mean_dy": (MEAN, OF_A_TERM | OF_A_MEAN | OF_SCALE),
    "x_hat": (X_HAT, OF_A_TERM | OF_A_MEAN),
}


@pytest.mark.parametrize("problem", ["8x3x2x5/channels-first/eps=0.001", "5x3x4x7/channels-last/float32/eps=0.3"])
@pytest.mark.parametrize("term", TERMS)
def test_every_factor_of_a_term_is_named(right, term, problem):
    r = right(problem, seed=3)
    name, factors = TERMS[term]
    for says, factor in factors.items():
        value = factor(r)
        template = f"{says} {name.strip()}" if says.endswith(" in") else name + says
        agrees(diagnosed(r.case, "dx", r.terms(**{term: value})), [template], [value] * template.count("{k}"), r)


def test_terms_that_cancel_are_allowed_their_own_rounding(right):
    # Of 4 samples little is left of dx, but its terms are rounded when they are 400 times as large.
    for seed in range(30):
        r = right("4x9/eps=0.001", seed=seed, mean=30.0, std=20.0)
        assert diagnosed(r.case, "dx", r.dx * r.std**2) == ("sqrt(var + epsilon) multiplies where it should divide",)


@pytest.mark.parametrize("problem", SPATIAL)
@pytest.mark.parametrize("over", ["batch", "spatial"])
@pytest.mark.parametrize("once_more", [False, True])
def test_a_count_of_one_axis_alone_is_named(right, problem, over, once_more):
    r = right(problem)
    count = {"batch": r.batch, "spatial": r.spatial}[over]
    factor = 1 / count if once_more else r.samples / count
    name = {"batch": "{batch}, the batch size", "spatial": "{spatial}, the positions of one item"}[over]
    reason = f": divided by {name} alone, where {{samples}} samples were averaged"
    if once_more:
        reason = f": averaged, and then divided by {name}, once more"
    agrees(diagnosed(r.case, "dx", r.terms(mean_dy=factor)), [MEAN + K + reason], [factor], r)
    agrees(diagnosed(r.case, "dx", r.dx / count), ["dx " + K + f": divided by {name}"], [1 / count], r)


AXES = {  # of channels-first (N, F, S)
    "the batch alone, separately for each position": (0,),
    "the positions of each item separately, as in instance normalization": (2,),
    "the features at each position, as in layer normalization": (1,),
    "the features of each item, as in layer normalization": (1, 2),
    "everything, features too": (0, 1, 2),
}


@pytest.mark.parametrize(("over", "axes"), AXES.items())
def test_statistics_over_the_wrong_axes_are_named(right, over, axes):
    r = right("8x3x2x5/channels-first/eps=0.001")
    average = {"axis": axes, "keepdims": True}
    centred = r.x - r.x.mean(**average)
    std = np.sqrt((centred**2).mean(**average) + r.epsilon)
    x_hat = centred / std
    assert diagnosed(r.case, "y", r.gamma * x_hat + r.beta) == (f"the statistics are taken over {over}",)
    # The right statistics, but one or both means of dx over these axes, or sums over them divided by all samples.
    share = np.prod([r.x.shape[axis] for axis in axes]) / r.samples
    for part, kind in ((1.0, "taken"), (share, "summed")):
        dy, dy_x_hat = part * r.dy.mean(**average), part * (r.dy * r.x_hat).mean(**average)
        for means, of_dy, of_dy_x_hat in (
            ("means in dx are", dy, dy_x_hat),
            ("mean of dy is", dy, mean(r.dy * r.x_hat)),
            ("mean of dy * x_hat is", mean(r.dy), dy_x_hat),
        ):
            says = f"the {means} {kind} over {over}" + ", but divided by all 80 samples" * (kind == "summed")
            if kind == "taken" or axes in ((0,), (2,)):
                dx = r.gamma / r.std * (r.dy - of_dy - r.x_hat * of_dy_x_hat)
                assert diagnosed(r.case, "dx", dx) == (says,)
    # The gradient of normalization over these axes.
    dx_hat = r.dy * r.gamma
    dx = (dx_hat - dx_hat.mean(**average) - x_hat * (dx_hat * x_hat).mean(**average)) / std
    assert diagnosed(r.case, "dx", dx) == (f"dx is the gradient with statistics taken over {over}",)


@pytest.mark.parametrize("problem", ["8x3x2x5/channels-first", "4x3x5x6/channels-last"])
def test_a_misread_layout_is_named(right, problem):
    r = right(problem)
    n, features, inner = r.x.shape
    # The very memory, with the features on the other of its last two axes.
    own = (r.batch, inner, features) if inner > 1 else (r.batch, features, n // r.batch)
    axes, per_feature = ((0, 1), (1, 1, -1)) if inner > 1 else ((0, 2), (1, -1, 1))
    x = np.ascontiguousarray(r.x).reshape(own)
    centred = x - x.mean(axes, keepdims=True)
    x_hat = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + r.epsilon)
    y = (r.gamma.reshape(per_feature) * x_hat + r.beta.reshape(per_feature)).reshape(r.x.shape)
    assert diagnosed(r.case, "y", y) == ("the features are read along the wrong axis of the memory",)


# Samples (batch, position) that a part takes, from the two and the sample's number and how many there are.
PARTS = {
    "the first item of the batch alone": lambda b, s, n, r: b == 0,
    "the last item of the batch alone": lambda b, s, n, r: b == r.batch - 1,
    "all items of the batch but the first": lambda b, s, n, r: b > 0,
    "all items of the batch but the last": lambda b, s, n, r: b < r.batch - 1,
    "the first position of each item alone": lambda b, s, n, r: s == 0,
    "all samples but the first": lambda b, s, n, r: n > 0,
    "all samples but the last": lambda b, s, n, r: n < r.samples - 1,
    "whole vectors of 4 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 4,
    "whole vectors of 8 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 8,
    "whole vectors of 16 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 16,
    "whole vectors of 32 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 32,
}


@pytest.mark.parametrize("problem", ["7x3x3x3/channels-first/eps=0.01", "7x3x3x3/channels-last/float32/eps=0.01"])
@pytest.mark.parametrize("part", PARTS)
def test_samples_that_are_left_out_are_named(right, part, problem):
    r = right(problem)  # 63 samples, which leave another remainder for each width
    numbers = np.arange(r.samples)
    taken = PARTS[part](numbers // r.spatial, numbers % r.spatial, numbers, r)
    taken = taken.reshape(r.x.shape[0], 1, r.x.shape[2])

    def some(array):
        return (array * taken).sum(SAMPLES, keepdims=True)

    assert diagnosed(r.case, "dgamma", some(r.dy * r.x_hat)) == (f"dgamma sums {part}",)
    assert diagnosed(r.case, "dbeta", some(r.dy)) == (f"dbeta sums {part}",)
    sums = some(r.dy), some(r.dy * r.x_hat)
    for kind, count in (("sums", r.samples), ("means", taken.sum())):
        dx = r.gamma / r.std * (r.dy - sums[0] / count - r.x_hat * sums[1] / count)
        assert diagnosed(r.case, "dx", dx) == (f"the {kind} of dy and of dy * x_hat in dx are those of {part}",)
    centred = r.x - some(r.x) / taken.sum()
    std = np.sqrt(some(centred**2) / taken.sum() + r.epsilon)
    x_hat = centred / std
    assert diagnosed(r.case, "y", r.gamma * x_hat + r.beta) == (f"the statistics are those of {part}",)
    dx = r.gamma / std * (r.dy - mean(r.dy) - x_hat * mean(r.dy * x_hat))
    assert diagnosed(r.case, "dx", dx) == (f"the statistics in dx are those of {part}",)
    assert diagnosed(r.case, "dgamma", r.total(r.dy * x_hat)) == (f"the statistics in dgamma are those of {part}",)
