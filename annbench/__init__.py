"""annbench: honest benchmarks of approximate nearest neighbour search, and compressed indexes of its own."""

__version__ = "0.1.0"
__all__ = ["__version__"]
