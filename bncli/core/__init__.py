"""What everything speaks: layout, problem, case, kernel, report, units. No I/O, no Click, no rich."""
