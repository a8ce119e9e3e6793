"""The report of a bundle: its figures as a document for people (PDF) and as tables (XLSX), and the check of both."""
