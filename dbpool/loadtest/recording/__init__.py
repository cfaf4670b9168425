"""What happened to each transaction of a load, counted."""
