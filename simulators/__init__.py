"""Mines without hardware: sources, weather, instruments, faults with ground truth; replay of files."""
