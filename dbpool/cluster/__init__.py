"""A job's chunks, stored by the worker processes of a Dask cluster."""
