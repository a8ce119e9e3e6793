"""Data loggers without hardware: simulated mines that speak HJ 212 over TCP, with the faults of the field."""
