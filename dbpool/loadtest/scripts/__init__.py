"""Scripts as pgbench reads them: what a transaction of a load test does, without a driver to do it."""
