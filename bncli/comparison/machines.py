"""Differences of machine and software between two reports."""

from collections.abc import Iterable

from bncli.benchmarking import gate
from bncli.comparison import drift
from bncli.comparison.matching import Pair
from bncli.core.report import Report
from bncli.core.units import text
from bncli.errors import InputError

MACHINE = ("cpu", "cores")
DEVICE = "device"
SOFTWARE = ("bncli", "python", "numpy", "numba")


def same_machine(before: Report, after: Report) -> bool:
    """Whether both machines are known and equal, and have the same devices if any computed."""
    old, new = before.environment, after.environment
    return old.get(DEVICE) == new.get(DEVICE) and all(old.get(key) == new.get(key) is not None for key in MACHINE)


def machines(before: Report, after: Report) -> str:
    """A line that names two different machines."""
    return f"the machines differ: old was measured on {_machine(before)}, new on {_machine(after)}"


def require_gate(before: Report, after: Report, factor: float, allow_different_machine: bool) -> None:
    """Raise InputError for a factor that means nothing, or for a gate between two machines unless that is allowed."""
    gate.require_factor(factor)
    if not allow_different_machine and not same_machine(before, after):
        raise InputError(
            f"{machines(before, after)}; a gate would judge the machine: "
            "measure both on one machine, or add --allow-different-machine"
        )


def differences(before: Report, after: Report) -> list[str]:
    """The differences of machine and software, a line each."""
    found = [] if same_machine(before, after) else [machines(before, after)]
    old, new = ({key: report.environment.get(key) for key in SOFTWARE} for report in (before, after))
    changed = [f"{key} {old[key]!s:.20} → {new[key]!s:.20}" for key in SOFTWARE if old[key] != new[key]]
    return [*found, f"the software differs: {', '.join(changed)}"] if changed else found


def moved_cores(pairs: Iterable[Pair]) -> list[str]:
    """A warning if the fork-join latency shows that the runs had different cores of the host."""
    found = (drift.fork_join(pair.old, pair.new) for pair in pairs if pair.old and pair.new)
    latencies = next((each for each in found if each), None)
    if latencies is None:
        return []
    old, new = (text(seconds, "seconds") for seconds in latencies)
    return [
        f"the fork-join latency was {old} in old and {new} in new: the hypervisor probably moved the cores, which "
        "changes the speed of large arrays; repeat until both latencies agree"
    ]


def _machine(report: Report) -> str:
    cpu, cores = (report.environment.get(key, "unknown") for key in MACHINE)
    device = report.environment.get(DEVICE)
    return f"{cpu!s:.60}, {cores!s:.10} cores" + (f", {device!s:.60}" if device else "")
