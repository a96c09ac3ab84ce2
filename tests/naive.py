"""Batch normalization in scalar loops on the original layout; it shares no code with bncli.

Sums are exact (math.fsum), so what remains is the rounding of single float64 operations.
"""

import math

import numpy as np


def groups(shape, layout):
    """For each feature, in C order, the indices of the samples that it is averaged over."""
    axes = {
        "per-activation": range(1, len(shape)),
        "channels-last": [len(shape) - 1],
        "channels-first": [1],
    }[layout]
    members = {}
    for index in np.ndindex(*shape):
        members.setdefault(tuple(index[axis] for axis in axes), []).append(index)
    return [members[key] for key in sorted(members)]


def batchnorm(x, gamma, beta, dy, epsilon, layout):
    """y, dx of the shape of x; dgamma, dbeta, mean, var flat; all float64."""
    y, dx = np.empty(x.shape), np.empty(x.shape)
    flat = {name: [] for name in ("dgamma", "dbeta", "mean", "var")}
    for feature, members in enumerate(groups(x.shape, layout)):
        count = len(members)
        g, b = float(gamma[feature]), float(beta[feature])
        values = [float(x[i]) for i in members]
        mean = math.fsum(values) / count
        var = math.fsum((value - mean) ** 2 for value in values) / count
        std = math.sqrt(var + epsilon)
        x_hat = [(value - mean) / std for value in values]
        grads = [float(dy[i]) for i in members]
        dbeta = math.fsum(grads)
        dgamma = math.fsum(d * h for d, h in zip(grads, x_hat, strict=True))
        for i, h, d in zip(members, x_hat, grads, strict=True):
            y[i] = g * h + b
            dx[i] = g / std * (d - dbeta / count - h * dgamma / count)
        for name, value in (("dgamma", dgamma), ("dbeta", dbeta), ("mean", mean), ("var", var)):
            flat[name].append(value)
    return {"y": y, "dx": dx, **{name: np.array(values) for name, values in flat.items()}}


def infer_backward(x, gamma, dy, mean, var, epsilon, layout):
    """dx of the shape of x, dgamma and dbeta flat, where the given statistics are constants; float64."""
    dx, dgamma, dbeta = np.empty(x.shape), [], []
    for feature, members in enumerate(groups(x.shape, layout)):
        std = math.sqrt(float(var[feature]) + epsilon)
        for i in members:
            dx[i] = float(gamma[feature]) / std * float(dy[i])
        dgamma.append(math.fsum(float(dy[i]) * ((float(x[i]) - float(mean[feature])) / std) for i in members))
        dbeta.append(math.fsum(float(dy[i]) for i in members))
    return {"dx": dx, "dgamma": np.array(dgamma), "dbeta": np.array(dbeta)}


def infer(x, gamma, beta, mean, var, epsilon, layout):
    """y from given statistics, of the shape of x, float64."""
    y = np.empty(x.shape)
    for feature, members in enumerate(groups(x.shape, layout)):
        std = math.sqrt(float(var[feature]) + epsilon)
        for i in members:
            y[i] = float(gamma[feature]) * ((float(x[i]) - float(mean[feature])) / std) + float(beta[feature])
    return y


def expected_of(case):
    """What a kernel returns and saves for a Case: canonical, (N, F, S) and (F,), float64.

    Where the case has running statistics, "inferred" is the y of infer, and "dx of inference" a gradient of it.
    """
    own, problem = case.problem.own, case.problem
    arguments = problem.epsilon, str(problem.layout)
    found = batchnorm(own(case.x), case.gamma, case.beta, own(case.dy), *arguments)
    found["inv_std"] = 1 / np.sqrt(found["var"] + problem.epsilon)
    if case.mean is not None:
        found["inferred"] = infer(own(case.x), case.gamma, case.beta, case.mean, case.var, *arguments)
        of_inference = infer_backward(own(case.x), case.gamma, own(case.dy), case.mean, case.var, *arguments)
        found |= {f"{name} of inference": array for name, array in of_inference.items()}
    return {name: problem.canonical(array) if array.ndim > 1 else array for name, array in found.items()}
