"""Transactions begun one after the other, or when they are due."""
