"""Files of data loggers as they come: CSV in many dialects, workbooks, HTML, Parquet; with gaps, repeats, disorder and damage."""

from greenmine.collector.files.columns import LoggerFileError
from greenmine.collector.files.descriptions import Description, read_description
from greenmine.collector.files.series import FileReadings, joined, offered, read_series
from greenmine.collector.files.station import StationFile, read_content, read_station
from greenmine.collector.files.table import Header, Table, read_table

__all__ = [
    "Description",
    "FileReadings",
    "Header",
    "LoggerFileError",
    "StationFile",
    "Table",
    "joined",
    "offered",
    "read_content",
    "read_description",
    "read_series",
    "read_station",
    "read_table",
]
