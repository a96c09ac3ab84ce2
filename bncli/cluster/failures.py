"""Turn the failures of a cluster into errors of one line that say that nothing was written."""

from collections.abc import Iterator
from contextlib import contextmanager

from bncli.core.units import text
from bncli.errors import BncliError, Unavailable

NOTHING = "nothing was written"
LOST = ("CancelledError", "FutureCancelledError", "FuturesCancelledError", "CommClosedError")


@contextmanager
def translated(memory_limit: int | None = None, *, starting: bool = False) -> Iterator[None]:
    """Raise any failure of a cluster, or of its start, as a BncliError, but let Ctrl-C through."""
    try:
        yield
    except BncliError:
        raise
    except Exception as error:
        limit = text(memory_limit, "bytes") if memory_limit else ""
        why = _not_started(error, limit) if starting else f"{_failed(error, limit)}; {NOTHING}"
        raise Unavailable(why) from error


def _not_started(error: Exception, limit: str) -> str:
    if isinstance(error, ImportError) or ModuleNotFoundError.__name__ in str(error):
        return f"the workers cannot import bncli: install this version there ({error})"
    hint = f": --memory-limit {limit} may be less than a worker takes without a block" if limit else ""
    return f"the workers did not start ({' '.join(str(error).split())}){hint}"


def _failed(error: Exception, limit: str) -> str:
    name = type(error).__name__
    if name == "KilledWorker":
        above = f", or above the limit of {limit}" if limit else ""
        return f"workers died repeatedly on the same block, perhaps out of memory{above}"
    if name in LOST:
        return f"the cluster lost what it had computed ({name}): run this again"
    return f"the cluster failed with {name}: {' '.join(str(error).split())}"
