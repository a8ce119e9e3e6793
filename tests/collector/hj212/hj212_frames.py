"""Frames of the tests."""

from __future__ import annotations

from greenmine.collector.hj212.crc import CRC, Variant

HEADER = "QN=20160801085857223;ST=32;CN={cn};PW=123456;MN=010000A8900016F000169DC0;Flag={flag};CP=&&{content}&&"


def segment(content: str = "", *, cn: str = "2011", flag: int = 5) -> bytes:
    return HEADER.format(cn=cn, flag=flag, content=content).encode()


def frame(data: bytes, crc: Variant = "hj212") -> bytes:
    return b"##%04d%s%s\r\n" % (len(data), data, CRC[crc](data).encode())


DUST = frame(segment("DataTime=20160801085857;a34002-Rtd=52.10,a34002-Flag=N;LA-Rtd=50.1"))
EMPTY = frame(segment(cn="9014", flag=4))
HOUR = frame(segment("DataTime=20160801080000;w01018-Cou=63.0,w01018-Min=40.1,w01018-Flag=D", cn="2061"))
