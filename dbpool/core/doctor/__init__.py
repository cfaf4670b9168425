"""What is wrong with a server's set-up, told from what it says of itself."""
