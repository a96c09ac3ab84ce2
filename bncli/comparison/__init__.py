"""Has it become slower?

In: two saved results of bench, or reports. Out: a report with a row for each pass, and its verdict.
Rows are matched, differences of the machine taken out, and what remains is compared with the noise.
"""
