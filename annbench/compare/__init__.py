"""Comparisons between measured things: at equal recall, and between two versions of one thing."""
