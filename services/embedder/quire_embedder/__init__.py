"""Vectors of a document's chunks."""
