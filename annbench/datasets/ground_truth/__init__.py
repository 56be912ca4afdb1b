"""Exact k nearest neighbours by any metric, with the proof that they are.

- exact.py: exact_neighbors: the search a metric has, the rows that count
- selection.py, by_label.py: part of the base, and filters
- engine.py: slabs × blocks of queries on threads, with a checkpoint (checkpoint.py); job.py is what it works on
- dense.py: float32 shortlist, float64 decision; bounds.py: how wrong a float32 score can be
- hamming.py, jaccard.py: counts
- reduced.py: SNR and Poincaré over reduced vectors; reductions.py proves it, direct.py is the last resort
- lists.py: lists from whole blocks of distances
- rows.py: any base that can be sliced → checked float32 blocks
- memory.py: the block sizes that a memory limit allows
"""

from annbench.datasets.ground_truth.exact import exact_neighbors
from annbench.datasets.ground_truth.memory import DEFAULT_MEMORY_LIMIT_BYTES, MemoryPlan, plan_memory
from annbench.datasets.ground_truth.result import GroundTruth
from annbench.datasets.ground_truth.selection import Labels

__all__ = ["DEFAULT_MEMORY_LIMIT_BYTES", "GroundTruth", "Labels", "MemoryPlan", "exact_neighbors", "plan_memory"]
