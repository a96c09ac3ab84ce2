"""One problem, measured for a moment."""

from bncli.benchmarking.bench import rows_of
from bncli.benchmarking.settings import Settings
from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel

NUMPY = load_kernel("numpy")
SHORT = Settings(max_time=0.0)


def kernel(name="mine", **functions):
    return Kernel(**({"forward": NUMPY.forward, "backward": NUMPY.backward} | functions), name=name)


def rows(case, *kernels, settings=SHORT):
    return {(row["kernel"], row["direction"]): row for row in rows_of(case, kernels, settings)}
