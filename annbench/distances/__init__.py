"""What near means: one file a distance, one line each in registry.py and below.

- base.py: what a distance must offer
- dense.py: euclidean, cosine, inner product
- hamming.py, jaccard.py: over packed bits and over sets
- snr.py, poincare.py: distances whose ranking is exactly that of another one, over other vectors
- sets.py: sets of integers, as rows
"""

from typing import Literal, get_args

Metric = Literal["euclidean", "cosine", "ip", "hamming", "jaccard", "snr", "poincare"]
Layout = Literal["dense", "bits", "sets"]  # vectors of numbers; packed bits; sets of element ids

METRICS: tuple[Metric, ...] = get_args(Metric)
