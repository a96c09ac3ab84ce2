"""How ``diagnosis`` explains a wrong array.

An explanation is a function of ``evidence.Evidence`` (one array, its right values and the rounding error allowed)
that returns sentences, or () if it does not account for every element. ``diagnosis`` reports the first that does:

1. ``altered.narrowed``: the right values in a narrower type.
2. ``consequences``: right, given another wrong array of the kernel.
3. ``wrong_formulas``: the formula of a known mistake (``groups``: means over wrong axes, ``parts``: samples left out).
4. ``inv_std``, ``readings``: the right terms with wrong coefficients; ``coefficients`` estimates these, ``quantities``
   names their values.
5. ``changed_inputs``, ``recomputed``: the right formula with one input rounded, clipped or without its sign;
   ``other_features``: with the gamma or beta of another feature.
6. ``lost_precision``: lost digits of sums and variances.
7. ``altered``, ``misplaced``: values clipped, without sign, with an addition, or in wrong places.
8. The ``probe``, which calls the kernel again: ``weights_in_words`` describes the samples that do not count once.
9. If none does: ``places`` says where the array is wrong, its wrong features are explained alone; then
   ``inconclusive``.

To add one: a value of a coefficient is a line of ``quantities``; a formula is a line of ``wrong_formulas``, ``groups``
or ``parts``; any other explanation is a function here, with its place in the order in ``diagnosis``.
"""
