"""The demo's tables: a folder of migrations as a user would have one, without an env.py."""

from __future__ import annotations

from pathlib import Path

SHOP = Path(__file__).parent
