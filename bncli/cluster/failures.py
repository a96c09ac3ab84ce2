"""Turn the failures of a cluster into errors of one line that say that nothing was written."""

from collections.abc import Iterator
from contextlib import contextmanager

from bncli.core.units import text
from bncli.errors import BncliError, Unavailable

NOTHING = "nothing was written"
LOST = ("CancelledError", "FutureCancelledError", "FuturesCancelledError", "CommClosedError")


@contextmanager
def started(memory_limit: int | None) -> Iterator[None]:
    """Raise any failure while a cluster starts as a BncliError."""
    try:
        yield
    except BncliError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) or ModuleNotFoundError.__name__ in str(error):
            raise Unavailable(f"the workers cannot import bncli: install this version there ({error})") from error
        limit = memory_limit and text(memory_limit, "bytes")
        why = f": --memory-limit {limit} may be less than a worker takes without a block" if limit else ""
        raise Unavailable(f"the workers did not start ({' '.join(str(error).split())}){why}") from error


@contextmanager
def translated(memory_limit: int | None) -> Iterator[None]:
    """Raise any failure of a run on a cluster as a BncliError, but let Ctrl-C through."""
    try:
        yield
    except Exception as error:
        raise _failure(error, memory_limit) from error


def _failure(error: Exception, memory_limit: int | None) -> BncliError:
    if isinstance(error, BncliError):
        return error
    name, message = type(error).__name__, " ".join(str(error).split())
    if name == "KilledWorker":
        above = f", or above the limit of {text(memory_limit, 'bytes')}" if memory_limit else ""
        return Unavailable(f"workers died repeatedly on the same block, perhaps out of memory{above}; {NOTHING}")
    if name in LOST:
        return Unavailable(f"the cluster lost what it had computed ({name}); {NOTHING}: run this again")
    return Unavailable(f"the cluster failed with {name}: {message}; {NOTHING}")
