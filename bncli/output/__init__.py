"""How is a Report shown?

In: a Report, or a chart or images made from one. Out: tables in a terminal, text in a format, pictures, a page.
Nothing here measures or judges.
"""
