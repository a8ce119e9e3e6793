"""Reports that are filed: a mine, or the district, over a day, week, month, quarter or year, as XLSX, PDF and DOCX."""
