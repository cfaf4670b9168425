"""Load tests of connection limits: what is run, what it showed, what follows from it."""
