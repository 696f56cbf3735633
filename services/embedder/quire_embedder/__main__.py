"""`python -m quire_embedder` runs the service."""

from quire_embedder.main import main

main()
