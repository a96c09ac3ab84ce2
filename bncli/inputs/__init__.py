"""One file is one source of x; it exports SOURCE."""
