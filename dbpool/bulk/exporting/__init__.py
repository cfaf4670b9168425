"""Tables and queries into files."""
