"""Sample documents of an imaginary research station, for the demo and the end-to-end tests."""
