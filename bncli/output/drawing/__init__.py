"""Charts as pictures: matplotlib's for files, which is imported nowhere else, and SVG elements for a page."""
