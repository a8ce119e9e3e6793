"""Sealed days of raw data in a signed hash chain."""
