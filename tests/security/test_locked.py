"""What is installed is what was looked at: by hash, from no place that the lock would name."""

from __future__ import annotations

import re

from tests.docs.guide import ROOT

LOCK = (ROOT / "requirements.lock").read_text()


def test_every_package_is_pinned_by_version_and_hash() -> None:
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", LOCK)).strip().splitlines()
    assert len(lines) > 50
    for line in lines:
        assert re.match(
            r"[A-Za-z0-9._-]+(\[[a-z,0-9-]+\])?==[^ ;]+( ; [^-]+)?( ?--hash=sha256:[0-9a-f]{64})+$", line
        ), line


def test_it_names_no_place_to_get_them_from() -> None:
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|https?://|file:|git\+|@ ", LOCK)


def test_it_is_installed_by_its_hashes() -> None:
    assert "--require-hashes" in (ROOT / "Makefile").read_text()
