"""Where does x come from?

In: a Request with the values of the source's option. Out: a Batch of arrays, or a Lazy one that is read in parts.
One file is one source; it exports SOURCE, and the file's name is the name of the option.
"""
