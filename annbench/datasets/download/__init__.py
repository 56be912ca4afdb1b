"""Gets datasets from the web: resumed, checked, and installed whole or not at all.

`get.py` is the whole of it for one dataset; `transfer.py` moves one file, by `attempt.py`, one request at a time, into
a `partial.py`; `receipt.py` remembers what was fetched, and `verify.py` holds the file to it.
"""
