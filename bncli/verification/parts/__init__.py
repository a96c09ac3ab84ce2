"""Are the statistics of parts of a batch, merged in any order, those of the whole batch?

``scenarios`` cuts batches into parts; ``merging`` has the orders and trees; ``moments`` the right values and what
rounding may cost; ``part_checks`` compares, and ``merge_faults`` and ``sum_faults`` name what is wrong.
"""
