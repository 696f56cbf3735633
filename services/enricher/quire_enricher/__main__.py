"""`python -m quire_enricher` runs the service."""

from quire_enricher.main import main

main()
