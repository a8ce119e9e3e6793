"""HJ 212, the protocol of data loggers for pollutant monitoring in China: frames to messages and back.

But for ``link``, the field side of a connection, nothing here reads a file, a socket or a clock. A byte stream goes through
``frame`` (extent, length, CRC), a data segment through ``segment`` (grammar) and ``message`` (meaning); ``encode`` goes
the other way; ``document`` is the JSON form of both. What a device does differently stands in its ``dialect``; what is
tolerated is named in ``deviation``; what the field side says is put together in ``compose``.

References
----------
HJ/T 212-2005, HJ 212-2017 and HJ 212-2025, data transmission of automatic pollutant monitoring.
"""
