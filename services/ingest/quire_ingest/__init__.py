"""Ingest: reads the text of an uploaded document, its language and its chunks."""
