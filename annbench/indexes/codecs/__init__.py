"""How vectors are stored: one file a family, one line each in registry.py. Coding itself is native.

- base.py: what a codec must say, and what it may learn from a sample
- floats.py: float32, float16
- uniform.py: 1 to 8 bits a dimension on a grid of each vector's own; in one or two levels, or behind a 1-bit scan
- product.py: product quantization of 4 bits, with or without a learned rotation
- levels.py: what a binarizer makes
- va_file.py: cells of unequal bits a dimension, with lower bounds
"""
