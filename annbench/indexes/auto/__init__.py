"""Preset auto: the slots of an index chosen from the spectrum of the vectors and a short calibration, with reasons.

- wish.py: what the caller wants; choosing.py: which codes could serve, and which do, from recalls alone;
  arranging.py: which structure, from measured times
- sample.py: the sample, its exact neighbours and its spectrum; ceilings.py: recall of codes over the sample;
  costs.py: time of a search by structure
- deciding.py: all of that, one after the other
"""
