"""Breaking a running Quire in every way that docs/architecture.md promises it survives, and counting what is left."""
