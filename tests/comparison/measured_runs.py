"""Runs of bench with planted samples."""

import math

import numpy as np

from bncli.core.report import Column, Report

HERE = {"cpu": "a cpu", "cores": 2, "numpy": "2.0"}
PROBLEM = "64x30000/per-activation/float32/eps=1e-05"


def measured(seed, factor=1.0, count=100, sigma=0.02, drift=0.01, level=0.005, outliers=0.02):
    """Samples as a machine that others use gives them.

    Interruptions only lengthen, some of them much; the speed walks at random, by ``drift`` from the
    first to the last sample; and a process is as a whole faster or slower by ``level``.
    """
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, drift / math.sqrt(count), count))
    samples = factor * np.exp(rng.normal(0, level) + np.abs(rng.normal(0, sigma, count)) + walk)
    return np.where(rng.random(count) < outliers, samples * rng.uniform(1.2, 5, count), samples).tolist()


def row(kernel="numba", direction="forward", samples=(), problem=PROBLEM, verdict="PASS", **more):
    return {
        "problem": problem,
        "input": "--random normal --seed 0",
        "kernel": kernel,
        "direction": direction,
        **({"verdict": verdict} if verdict else {}),
        **({"samples": list(samples)} if len(samples) else {}),
        **more,
    }


def bench(*rows, environment=HERE):
    return Report("bench", (Column("kernel", "kernel"),), rows, environment=environment)


OLD = bench(
    row("numpy", samples=measured(0)),
    row("numba", samples=measured(1)),
    row("numba", "backward", measured(2)),
    row("torch", samples=measured(3)),
)
NEW = bench(
    row("numpy", samples=measured(4)),
    row("numba", samples=measured(5, 1.3)),
    row("numba", "backward", measured(6, 0.5)),
    row("jax", samples=measured(7)),
)
