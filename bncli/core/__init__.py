"""Which words does everything speak?

In: nothing but numbers and text. Out: the nouns: layout, problem, ranges, case,
source, kernel, rows, report, chart, units.
Nothing here reads files, prints, or knows Click and rich.
"""
