"""The vocabulary: registry, catalogues, units, times, readings as columns, words and settings. It imports nothing of ours."""

import os

# Rings of many channels are touched here and there: with huge pages, a start waits seconds for the system to make room for them.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
