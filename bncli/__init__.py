"""bncli: is a batch-normalization kernel right, how exact is it, and how fast?"""

from importlib import import_module

TYPE_CHECKING = False  # as typing has it, which takes 8 ms: until they are over, Ctrl-C would be a traceback
if TYPE_CHECKING:
    from bncli.benchmarking.bench import bench
    from bncli.comparison.compare import compare
    from bncli.core.kernel import Kernel
    from bncli.core.problem import Problem
    from bncli.layer import BatchNorm
    from bncli.loading.registry import load_kernel
    from bncli.verification.gradcheck import gradcheck
    from bncli.verification.verify import verify

__version__ = "0.1.0"
__all__ = ["BatchNorm", "Kernel", "Problem", "__version__", "bench", "compare", "gradcheck", "load_kernel", "verify"]

_HOMES = {
    "BatchNorm": "bncli.layer",
    "Kernel": "bncli.core.kernel",
    "Problem": "bncli.core.problem",
    "bench": "bncli.benchmarking.bench",
    "compare": "bncli.comparison.compare",
    "gradcheck": "bncli.verification.gradcheck",
    "load_kernel": "bncli.loading.registry",
    "verify": "bncli.verification.verify",
}


def __getattr__(name: str) -> object:
    # `bncli --help` must not pay for NumPy, so the public names are imported when first used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
