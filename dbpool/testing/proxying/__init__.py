"""A proxy between a pool and its server that does as it is told."""
