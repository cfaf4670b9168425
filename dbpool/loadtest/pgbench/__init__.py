"""pgbench itself under load: its command line, its log, its process."""
