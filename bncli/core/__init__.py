"""What everything speaks: layout, problem, case, kernel, report, units. No I/O but to load a kernel, no Click, no rich."""
