"""The errors bncli shows to its user: one line each, with the exit code it ends in."""


class BncliError(Exception):
    """An error to print as one line: what is wrong, the value, the mend."""

    exit_code = 2


class InputError(BncliError):
    """Wrong usage, or input that cannot be used."""


class CheckFailed(BncliError):
    """A kernel failed a check, or could not be judged by it."""

    exit_code = 1


class KernelFault(CheckFailed):
    """A kernel raised, or returned something that is not what it has to return."""


class KernelMalformed(KernelFault):
    """A kernel returned something that is not what it has to return."""


class KernelRefused(KernelFault):
    """A kernel raised ValueError, TypeError or NotImplementedError, as one does that declines what it is given."""


class MemoryNotHeld(KernelFault):
    """The framework of a kernel has no arrays with such strides, so that the kernel cannot be called on them."""


class KernelLost(KernelFault):
    """The process that a kernel has to itself has ended, or does not answer."""


class Unavailable(BncliError):
    """A kernel that was asked for by name cannot run here."""

    exit_code = 3
