"""How fast is a kernel, and how far from the memory roofline?

In: cases, kernels and Settings. Out: a report with a row for each pass, verified before and after it is timed.
Measures, never prints.
"""
