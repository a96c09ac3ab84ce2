"""Is a kernel right on problems that nobody typed? Search draws cases until one is WRONG or the time is up.

``case_line`` is a case in one line. ``sequence`` gives case i of a seed, of ``written_cases`` and drawn ``shapes``;
``contents`` and ``memory_layouts`` make its arrays; ``playing`` makes the calls of its ``call_history``;
``array_judge`` compares their ``answers`` with the ``oracle``, ``inexact`` finds lost digits, and ``trial`` gives the
verdict; ``searching`` does all of that in turn.

``narrowing`` starts from the first WRONG case: ``confirming`` runs it again, ``shrinking`` makes it small, and
``rule`` says where the kernel is wrong. For that ``learning`` tries ``attempts``: cases with a ``nearby`` shape or
``resized`` numbers, until one of the ``predicates`` on their ``case_numbers`` ``fits``; ``case_needs`` and
``histories`` say what else a case needs.
"""
