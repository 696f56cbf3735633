"""The previewer: pictures of documents, for the list and for reading."""
