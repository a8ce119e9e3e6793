"""The vocabulary: registry, catalogues, units, times, readings as columns, words and settings. It imports nothing of ours."""
