"""Has it become slower?

In: two saved results of bench, or reports. Out: a report with a row for each pass, and its verdict.
Rows are matched, times are corrected for changes of the machine, and their ratios are compared with the noise.
"""
