"""bncli: is a batch-normalization kernel right, how exact is it, and how fast?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bncli.core.kernel import load_kernel
    from bncli.core.problem import Problem
    from bncli.layer import BatchNorm

__version__ = "0.1.0"
__all__ = ["BatchNorm", "Problem", "__version__", "load_kernel"]

_HOMES = {"BatchNorm": "bncli.layer", "Problem": "bncli.core.problem", "load_kernel": "bncli.core.kernel"}


def __getattr__(name: str) -> Any:
    # `bncli --help` must not pay for NumPy, so the public names are imported when first used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
