"""The codecs by name. A new one is a C++ header, a class, and one line here."""

from __future__ import annotations

from annbench.indexes.codecs.base import Codec
from annbench.indexes.codecs.floats import Float16, Float32
from annbench.indexes.codecs.levels import Levels
from annbench.indexes.codecs.product import Product
from annbench.indexes.codecs.uniform import Uniform
from annbench.indexes.codecs.va_file import VaFile

CODECS: dict[str, type[Codec]] = {
    "float32": Float32,
    "float16": Float16,
    "uniform": Uniform,
    "product": Product,
    "va-file": VaFile,
    "levels": Levels,
}
