"""What the site needs of pages that are read in the repository, too: their links lead out of docs/ there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401 - mkdocs has no types
    """Take the changelog from where it is; have links find their pages, and name what is outside of them."""
    folder = (DOCS / page.file.src_uri).parent
    if page.file.src_uri == "changelog.md":
        markdown = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")

    def kept_or_named(link: re.Match[str]) -> str:
        text, path = link.groups()
        target = (folder / path.partition("#")[0]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        assert target.exists(), f"{page.file.src_uri} leads to {path}, which is not there"
        name = str(target.relative_to(ROOT))
        return text if name in text else f"{text} (`{name}`)"

    return re.sub(r"\[([^]]+)\]\((\.\./[^)]+)\)", kept_or_named, markdown)
