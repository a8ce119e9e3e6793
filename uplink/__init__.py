"""How the authority's platform gets readings and statistics: HJ 212 over TCP, out of the record, until acknowledged."""
