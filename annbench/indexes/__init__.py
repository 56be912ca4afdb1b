"""The in-house compressed indexes: transform × codec × structure × rerank.

- index.py: `annbench.Index`, for people; spec.py: what an index is made of; presets.py: published methods as specs
- auto/: preset auto, which chooses for the vectors at hand
- transforms/, codecs/, structures.py, reranks.py: what there is to choose from, each with its registry; choice.py: how
  a choice is written
- fitting.py: what is learned, with clusters.py and training.py; building.py: the native index made and filled
- vectors.py, arguments.py: what the caller gives, checked; about.py: what an index knows and tells about itself
- filters.py: which ids a search may find; on_disk.py: which parts of a loaded index stay in its file

Everything slow and rare is here; everything per query is in annbench/native.
"""
