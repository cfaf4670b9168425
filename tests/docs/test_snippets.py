"""README.md and docs/bulk.md: what they show runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.guide import ROOT
from tests.docs.snippets import blocks_of, names_for, notifying, run
from tests.support.databases import Database

PAGES = ["README.md", "docs/bulk.md"]
NOT_HERE = {"tcp://scheduler:8786"}  # a cluster, which tests/bulk/test_jobs_cluster.py has


@pytest.mark.parametrize("page", PAGES)
async def test_every_block_of_a_page_runs(
    page: str, shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = blocks_of(ROOT / page)
    assert len(blocks) >= 7
    async with names_for(shop, tmp_path) as names, notifying(shop.dsn):
        for block in blocks:
            if not any(words in block for words in NOT_HERE):
                await run(block, names, shop.dsn)
