"""The rows of tables, one class a table: the schema of saved results.

A field is a column, and its name the key that JSON, CSV and ``report.rows[i]["key"]`` have for it. These keys are
public: schema 2 keeps those of 1, and problems may name the parameters' dtype. Times are in seconds and sizes in
bytes, unless a field says otherwise.
"""
