"""Which of the optional packages that a command needs are missing."""

from __future__ import annotations

from importlib.util import find_spec

INSTALL = "pip install 'dbpool[cli,embedded,migrations]'"


def sentence_about_missing(*modules: str) -> str | None:
    """Say how to install those of *modules* that are not there; None if all are."""
    missing = [name for name in modules if find_spec(name) is None]
    return f"This needs {' and '.join(missing)}: {INSTALL}" if missing else None
