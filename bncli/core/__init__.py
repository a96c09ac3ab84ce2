"""What everything speaks: layout, problem, case, kernel, report, units.

No Click and no rich; no I/O either, but to load a kernel.
"""
