"""Files of data loggers as they come: CSV in many dialects, Parquet; with gaps, repeats, disorder and damage."""

from greenmine.collector.files.columns import LoggerFileError
from greenmine.collector.files.table import Header, Table, read_header, read_table

__all__ = ["Header", "LoggerFileError", "Table", "read_header", "read_table"]
