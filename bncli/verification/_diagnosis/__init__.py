"""What ``diagnosis`` is made of: the evidence, the tables of known mistakes, and the ways to match the two."""
