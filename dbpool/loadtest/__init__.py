"""Load tests: find the limit, name it, recommend a pool size."""
