"""The server under load: its limits, its sessions, the tables that a load uses."""
