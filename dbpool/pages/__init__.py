"""What pages are made of that need nothing else: styles, plots, policies."""
