"""The compiled functions of the kernel ``numba``: README.md has a picture.

``plans`` chooses an engine for a shape: ``columns``, ``rows``, ``row_parts``, ``runs`` or ``run_parts``. An engine
sums its tiles by ``lanes`` or ``sums``, turns the sums into statistics and gradients by ``features``, and writes its
tiles by ``writes``. All are made of ``vectors``, ``pointers`` and bncli's ``numba_pointers``; ``numba_forking`` shares
tasks among threads.

A name is the same argument in every file. The entries take arrays, which are contiguous; all others take pointers to
their elements. (N, F, S) is (samples, features, size):

- ``x``, ``dy``, ``y``, ``dx``: (N, F, S), float32 or float64. ``start``, ``at``, ``top``, ``i`` and ``f`` are indices,
  in elements. ``step``: elements from one row or run of the same features to the next.
- ``gamma``, ``beta``, ``dgamma``, ``dbeta``: (F,). ``mean``, ``var``: (F,), float64. ``epsilon``: added to var.
- ``plan``: the numbers of ``plans``. ``task``: the number of a piece of work, which one thread does.
- ``ahead``: how many elements before it is written memory is asked for; 0 for not at all.
- ``total``, ``squares``: sums of x - centre and of its square. ``total``, ``along``: sums of dy and of
  dy * (x - centre). One float64 number for each feature, or for each lane of a tile.
- ``centre``, ``scale``, ``shift``: y = (x - centre) * scale + shift, of the dtype of x. With ``slope`` as well:
  dx = (dy - (x - centre) * slope + shift) * scale.
- ``some``: how many lanes of a vector count, or ``ALL``. ``like``: a pointer or a vector whose dtype counts alone.
- ``per_sample``: 1 / (N * S). ``unusual``: set to 1 where squares or sums overflowed; entries return whether none did.
- ``attempts``: how often sums may be taken, see ``features.are_near``; it is read from the plan, since the compiler
  would write a loop of known length out.
"""
