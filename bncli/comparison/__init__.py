"""Has it become slower?

In: saved results of bench, or reports. Out: a report with a row for each pass, its verdict, and that of a gate.
Rows are matched; ratios of times, as measured and relative to the memory roofline, are compared with the noise.
"""
