"""A Dask cluster for one run: a running one, or processes on this machine."""

import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from os import cpu_count
from typing import Any

from bncli import signals
from bncli.cluster import worker
from bncli.cluster.failures import translated
from bncli.cluster.wanted import Wanted
from bncli.core.units import text
from bncli.errors import InputError, Unavailable

LOOPBACK = "127.0.0.1"  # not reachable from outside: Dask lets every client run code
PATIENCE = 30.0  # seconds to wait for a scheduler or a worker
USABLE = 0.95  # of a worker's memory limit; Dask ends a worker that uses more
PACKAGES = ("python", "bncli", "dask", "distributed", "numba", "numpy")  # whose versions must agree
# Blocks are few and bounded, so a worker need not spill them to disk or pause. Dask ends a worker that exceeds its
# limit all the same, and the error names it. Tasks stay where their blocks are.
OFF = (
    *(f"distributed.worker.memory.{what}" for what in ("target", "spill", "pause")),
    "distributed.scheduler.work-stealing",
)


@dataclass(frozen=True)
class Session:
    """A client and its workers by their addresses: the ``threads`` of each, and its facts from ``introduce``."""

    client: Any
    dashboard: str | None
    threads: Mapping[str, int]
    workers: Mapping[str, Mapping[str, Any]]
    memory_limit: int | None
    warnings: list[str] = field(default_factory=list)

    def described(self) -> str:
        """``2 workers of 1 thread``, and where."""
        each = sorted(set(self.threads.values()))
        hosts = {facts["host"] for facts in self.workers.values()}
        threads = f"{'–'.join(map(str, each))} thread{'s' * (each != [1])}"
        where = f" on {len(hosts)} hosts" if len(hosts) > 1 else ""
        return f"{len(self.threads)} worker{'s' * (len(self.threads) > 1)} of {threads}{where}"

    @property
    def base(self) -> int:
        """The most memory that a worker takes without a block, in bytes."""
        found: int = max(facts["memory"] for facts in self.workers.values())
        return found

    def fits(self, needed: int) -> bool:
        """Whether the memory limit of a worker holds ``needed`` bytes in addition to its base."""
        return not self.memory_limit or self.base + needed <= USABLE * self.memory_limit

    def peaks(self) -> dict[str, int]:
        """The peak memory of each worker that is still running, in bytes."""
        found: dict[str, int] = self.client.run(worker.peak_memory, on_error="ignore")
        return found


@contextmanager
def session(wanted: Wanted, dtype: str) -> Iterator[Session]:
    """Connect to the cluster that is ``wanted``; on exit, always close what was started for it.

    The client does not become Dask's default: other Dask calls in the block run in this process. Raises
    Unavailable if there is no Dask, no scheduler or no worker.
    """
    if not find_spec("distributed"):
        raise Unavailable("a cluster needs Dask: pip install 'bncli[cluster]'")
    before = logging.root.manager.disable
    with ExitStack() as stack, warnings.catch_warnings(action="ignore"):
        # The important ones are reported in lines of bncli's own.
        stack.callback(logging.disable, before)
        logging.disable(logging.CRITICAL)
        with translated(wanted.memory_limit, starting=True):
            found = _session(_client(wanted, stack), wanted, dtype)
        yield found


def _client(wanted: Wanted, stack: ExitStack) -> Any:
    distributed = import_module("distributed")
    if wanted.scheduler:
        if wanted.scheduler.startswith("tls:"):
            _require_certificates(wanted.scheduler, distributed)
        try:
            client = stack.enter_context(distributed.Client(wanted.scheduler, timeout=PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"no Dask scheduler with workers answers at {wanted.scheduler!r}: start one with dask scheduler, and "
                f"dask worker {wanted.scheduler} ({' '.join(str(error).split())})"
            ) from error
        return client
    stack.enter_context(import_module("dask").config.set({f"distributed.{what}": False for what in OFF}))
    with signals.held_back():
        cluster = distributed.LocalCluster(
            n_workers=wanted.workers or cpu_count() or 1,
            threads_per_worker=wanted.threads or 1,
            memory_limit=wanted.memory_limit or 0,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
    return stack.enter_context(distributed.Client(cluster, set_as_default=False))


def _require_certificates(scheduler: str, distributed: Any) -> None:
    """Raise Unavailable where Dask's configuration has no certificates, or none that can be read."""
    try:
        context = distributed.Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise Unavailable(f"the certificates for {scheduler!r} cannot be used: {error}") from error
    if context is None:
        names = "distributed.comm.tls.ca-file, client.cert and client.key"
        raise Unavailable(f"{scheduler!r} needs certificates: set {names} in Dask's configuration")


def _session(client: Any, wanted: Wanted, dtype: str) -> Session:
    workers = client.run(worker.introduce, dtype)
    dashboard = client.dashboard_link if client.run_on_scheduler(find_spec, "bokeh") else None
    # Without the threads of a worker that has joined since, of which nothing else is known.
    threads = {address: count for address, count in client.nthreads().items() if address in workers}
    return Session(client, dashboard, threads, workers, wanted.memory_limit, list(_differences(client)))


def _differences(client: Any) -> Collection[str]:
    """A line for each package whose version here differs from that of the scheduler or a worker."""
    found, lines = client.get_versions(packages=PACKAGES[1:]), dict[tuple[str, str], str]()
    for where, its in {"the scheduler": found["scheduler"], **found["workers"]}.items():
        for name in PACKAGES:
            own, other = found["client"]["packages"][name], its["packages"].get(name)
            if other not in (None, own):
                line = f"{name} is {own} here and {other} at {where}: install the same one"
                lines.setdefault((name, other), line)
    return lines.values()


def require_memory(found: Session, needed: int) -> None:
    """Raise InputError if a worker's memory limit cannot hold ``needed`` bytes in addition to its base."""
    if not found.fits(needed):
        limit, base = found.memory_limit or 0, found.base
        raise InputError(
            f"--memory-limit {text(limit, 'bytes')} is not enough: a worker takes {text(base, 'bytes')} without any "
            f"block, and up to {text(needed, 'bytes')} for blocks: give {text((base + needed) / USABLE, 'bytes')}"
        )
