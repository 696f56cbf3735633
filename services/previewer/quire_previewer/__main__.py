"""`python -m quire_previewer` starts the service."""

from .main import main

main()
