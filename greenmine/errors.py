"""Errors that cross the borders of packages."""

from __future__ import annotations


class StoreError(Exception):
    """The record cannot take a batch now (disk full, locked, unreachable); it may later."""


class ListenError(RuntimeError):
    """A port cannot be listened on; the text says which, why, and what would help."""
