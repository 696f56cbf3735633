"""The public API and the catalog of documents."""
