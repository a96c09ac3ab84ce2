"""One file is one kernel; it exports KERNEL."""
