"""Charts and images as pictures: by matplotlib, which is imported nowhere else, as SVG for a page, and as PNG."""
