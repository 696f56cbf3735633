"""`python -m quire_ingest`."""

from quire_ingest.main import main

main()
