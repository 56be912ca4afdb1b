"""Queries of a new embedding model over the vectors and codes of an old one.

- bridges.py: maps of new queries into the old space, in closed form; extra_dims.py: one of them, with more dimensions
  beside it (after BT²)
- relative.py, simplex.py: a third space, that both models are mapped to
- ways.py: all of these behind one face; bebr.py: codes that were trained to be compatible
- gallery.py: what is searched, as floats and as codes; blend.py: galleries that are re-embedded in part
- measuring.py: figures of all of it, as model.py has them
"""
