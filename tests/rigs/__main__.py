"""``python -m tests.rigs``: have faults happen, for as long as there is time, and say what broke."""

from tests.rigs.commands import rigs

if __name__ == "__main__":
    rigs(prog_name="python -m tests.rigs")
