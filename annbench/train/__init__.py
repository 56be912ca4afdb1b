"""Learned transforms. Needs annbench[train]; what is learned is applied without it.

- pairs.py: which vectors belong together; network.py: BEBR's network; loss.py: what it learns by
- trainer.py: the run, with checkpoints.py; bebr.py: a dataset in, a model file out
"""
