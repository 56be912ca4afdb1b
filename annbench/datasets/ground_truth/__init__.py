"""Exact k nearest neighbours, with the proof that they are.

- rows.py: any base that can be sliced → checked float32 blocks
- bounds.py: how wrong a float32 score can be
- memory.py: the block sizes that a memory limit allows
- checkpoint.py: progress on disk, tied to its inputs
- exact.py: exact_neighbors: blocks × blocks, float32 shortlist, float64 decision
"""

from annbench.datasets.ground_truth.exact import GroundTruth, exact_neighbors
from annbench.datasets.ground_truth.memory import DEFAULT_MEMORY_LIMIT_BYTES, MemoryPlan, plan_memory

__all__ = ["DEFAULT_MEMORY_LIMIT_BYTES", "GroundTruth", "MemoryPlan", "exact_neighbors", "plan_memory"]
