"""Memory that a process freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def release_memory() -> None:
    """Give the system what was freed; Arrow, where it is loaded, and glibc keep it otherwise."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
