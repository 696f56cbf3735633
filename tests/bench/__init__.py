"""The bench: what Quire does on this machine, measured from outside and written down so that it can be repeated."""
