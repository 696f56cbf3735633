"""Summary, keywords and tags of a document."""
