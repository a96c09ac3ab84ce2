"""Is a kernel right, and how exact is it?

In: a kernel and cases. Out: findings, each with its verdict, and the reports of gradcheck, verify and selftest.
Measures, never prints.
"""
