"""Decides: no await, clock, socket, logger or driver."""
