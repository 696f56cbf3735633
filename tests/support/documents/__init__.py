"""Builders of good, awkward and hostile files: each function returns the bytes of one file."""
