"""The errors bncli shows to its user: one line each, with the exit code it ends in."""


class BncliError(Exception):
    """An error to print as one line: what is wrong, the value, and a hint."""

    exit_code = 2


class InputError(BncliError):
    """Wrong usage, or input that cannot be used."""


class CheckFailed(BncliError):
    """A check failed: a verdict is WRONG or UNDECIDED, or a gate failed."""

    exit_code = 1


AS_PASS, AS_FAILURE = UNSURE_IS = ("pass", "fail")  # what an unsure gate counts as, in place of its own exit code


class GateUnsure(CheckFailed):
    """No gate failed, and one could not decide: the noise would have hidden a slowdown."""

    exit_code = 4


class KernelFault(CheckFailed):
    """A kernel raised an error, or returned a malformed result."""


class KernelMalformed(KernelFault):
    """A kernel returned a result of the wrong number, type or shape."""


class KernelRefused(KernelFault):
    """A kernel raised ValueError, TypeError or NotImplementedError, which may decline its input."""


class MemoryNotHeld(KernelFault):
    """The framework of a kernel does not support the strides of an array, so the kernel cannot be called on it."""


class KernelLost(KernelFault):
    """The process of an isolated kernel has ended, or does not answer."""


class Unavailable(BncliError):
    """A kernel that was asked for by name cannot run here."""

    exit_code = 3
