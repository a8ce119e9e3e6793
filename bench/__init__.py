"""Benchmarks: each prints a ratio against a named reference that is measured in the same run; see docs/benchmarks.md."""
