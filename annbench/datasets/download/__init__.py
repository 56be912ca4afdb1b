"""Gets datasets from the web: resumed, checked, and installed whole or not at all.

`get.py` is the whole of it for one dataset: `sources.py` says what to fetch, `transfer.py` moves one file, by
`attempt.py`, one request at a time, into a `partial.py`, and `assemble.py` makes a dataset of the files. `receipt.py`
remembers what was fetched, and `verify.py` holds the file to it. `failures.py` says what is worth another try.
"""
