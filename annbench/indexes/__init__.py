"""The in-house compressed indexes: transform × codec × structure × rerank."""
