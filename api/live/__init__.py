"""The live stream of what is new."""
