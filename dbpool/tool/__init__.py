"""What the commands do, apart from the demo's."""
