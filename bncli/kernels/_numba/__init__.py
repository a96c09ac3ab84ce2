"""The compiled functions of the kernel ``numba``.

An engine (``columns``, ``whole``, ``split``, ``inference``) orders ``steps``; a step works on a tile of x by ``passes``
along its lanes; a pass is made of ``vectors``; ``features`` turns sums into statistics and gradients.

Functions that Numba compiles take their arrays one by one: nothing is allocated or unpacked on each call. A name is the
same argument in every file. Arrays are contiguous, (N, F, S) is (samples, features, inner):

- ``x``, ``dy``, ``y``, ``dx``: (N, F, S), float32 or float64. ``start``, ``at``, ``i`` and ``f`` are indices into the
  flat array, in elements.
- ``gamma``, ``beta``, ``dgamma``, ``dbeta``: (F,). ``mean``, ``var``: (F,), float64. ``epsilon``: added to var.
- ``tiles``: (feature blocks, parts) records of ``tiles.FIELDS``. ``tile``: one of them.
- ``ahead``: how many elements before it is written (or, in a sum, how many rows before they are read) memory is
  asked for; 0 for not at all.
- ``total``, ``squares``: sums of x - centre and of its square. ``total``, ``products``: sums of dy and of
  dy * (x - centre). One float64 number for each feature, or for each lane of a tile.
- ``centre``, ``scale``, ``shift``: y = (x - centre) * scale + shift, of the dtype of x. With ``slope`` as well:
  dx = (dy - (x - centre) * slope + shift) * scale.
- ``start``, ``stop``, ``step``, ``lanes``: the rows of a tile, see ``passes``.
- ``some``: how many lanes of a vector count, or ``ALL``. ``like``: an array or a vector whose dtype counts alone.
- ``per_sample``: 1 / (N * S) in every lane. ``plus``: epsilon in every lane, or the vector that is added last.
"""
