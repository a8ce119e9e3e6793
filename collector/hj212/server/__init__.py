"""The centre's side of HJ 212 (上位机): a server to which data loggers connect.

``server`` accepts connections and hands what came to the record; ``link`` is one connection, ``conversation`` what is
asked on it and ``request`` one question. ``loggers`` are those of the registry; ``columns`` makes batches of messages,
with ``plausibility`` against wrong units.
"""
