"""Folders of migrations, as users write them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

_STEP = '''"""{message}"""

import sqlalchemy as sa
from alembic import op

revision = "{id}"
down_revision = {after!r}


def upgrade() -> None:
{up}
'''
_DOWN = """

def downgrade() -> None:
{down}
"""


@dataclass(frozen=True, slots=True)
class Steps:
    """A folder with ``versions/`` in it, and whatever else a test writes there."""

    path: Path

    def add(
        self,
        name: str,
        up: str,
        down: str | None = "pass",
        *,
        after: str | tuple[str, ...] | None = None,
        message: str = "",
    ) -> Path:
        """Write a step of Python; *down* None: a step without a downgrade()."""
        file = self.path / "versions" / f"{name}_step.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = _STEP.format(message=message or f"step {name}", id=name, after=after, up=_block(up))
        file.write_text(text + ("" if down is None else _DOWN.format(down=_block(down))))
        return file

    def sql(self, name: str, up: str, down: str = "select 1", *, after: str | None = None) -> Path:
        """Write a step of SQL."""
        return self.add(name, f"op.execute({up!r})", f"op.execute({down!r})", after=after)


def _block(source: str) -> str:
    return textwrap.indent(textwrap.dedent(source).strip(), "    ")
