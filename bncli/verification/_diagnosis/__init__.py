"""How ``diagnosis`` explains a wrong array.

An explanation is a function of ``evidence.Evidence`` (one array, its right values and the rounding error allowed)
that returns sentences, or () if it does not account for every element. ``diagnosis`` reports the first that does:

1. ``altered.narrowed``: the right values in a narrower type.
2. ``suspects``: the formula of a known mistake (``groups``: means over wrong axes, ``parts``: samples left out).
3. ``inv_std``, ``readings``: the right terms with wrong coefficients; ``coefficients`` estimates these, ``quantities``
   names their values.
4. ``altered``, ``misplaced``: values without sign, with an addition, or in wrong places.
5. ``vague.cancelled``, ``vague.coarse``: lost digits.
6. If none does: ``places`` says where the array is wrong, its wrong features are explained alone; then ``vague``.

To add one: a value of a coefficient is a line of ``quantities``; a formula is a line of ``suspects``, ``groups`` or
``parts``; any other explanation is a function here, with its place in the order in ``diagnosis``.
"""
