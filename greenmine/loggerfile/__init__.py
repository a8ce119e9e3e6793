"""Files of data loggers as they come: CSV in many dialects, Parquet; with gaps, repeats, disorder and damage."""

from greenmine.loggerfile.columns import LoggerFileError
from greenmine.loggerfile.table import Header, Table, read_header, read_table

__all__ = ["Header", "LoggerFileError", "Table", "read_header", "read_table"]
