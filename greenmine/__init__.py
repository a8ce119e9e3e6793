"""The shared vocabulary: registry, catalogues, readings as columns, record, settings and the ``greenmine`` command."""
