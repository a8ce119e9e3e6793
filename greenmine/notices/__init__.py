"""Notices: who is told of what, by which way; what is still to be told. In a file of its own beside the record."""
