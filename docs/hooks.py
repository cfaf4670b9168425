"""What the site needs of pages that are read in the repository, too: their links lead out of docs/ there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401 - mkdocs has no types
    """Take the changelog from where it is; have links find their pages, and name what is outside of them."""
    if page.file.src_uri == "changelog.md":
        markdown = (ROOT / "CHANGELOG.md").read_text("utf-8")
    markdown = markdown.replace("](docs/", "](")
    return re.sub(r"\[([^]]+)\]\(\.\./([^)]+)\)", _in_the_repository, markdown)


def _in_the_repository(link: re.Match[str]) -> str:
    text, path = link.groups()
    assert (ROOT / path).exists(), path
    return text if path in text else f"{text} (`{path}`)"
