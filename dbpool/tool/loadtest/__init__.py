"""``dbpool loadtest``: arguments in, tables and exit codes out."""
