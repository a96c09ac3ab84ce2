"""How to fix the errors of users' code that many make."""

import numpy as np

EXTRAS = {"jax": "peers", "ml_dtypes": "bfloat16", "torch": "peers", "triton": "triton"}
# Parts of the messages of Triton 3.
NO_GPU = "active drivers ([])"
IMPORTED_EARLIER = "@triton.jit'd outside of the scope of a kernel"


def hint(error: BaseException) -> str:
    """The end of the line that describes ``error``: how to fix it; empty if nothing is known."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"; pip install 'bncli[{EXTRAS[error.name]}]'"
    if isinstance(error, np.exceptions.AxisError):
        return (
            '; x is (outer, feature, inner): write axes = "own" into the file for NCHW or NHWC, as the problem is, or '
            "ndim = 4 for (N, C, H, W), or 2 for (rows, features)"
        )
    if NO_GPU in str(error):
        return "; Triton finds no GPU: set TRITON_INTERPRET=1, and the kernel is checked on the CPU"
    if IMPORTED_EARLIER in str(error):
        return "; Triton was imported before TRITON_INTERPRET was set: set it for the whole command"
    return ""
