"""Evidence: figures of a mine over a period, computed from sealed raw data, and bundles that anyone can check."""
