"""Decoders of payloads; they know no store."""
