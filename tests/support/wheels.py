"""The package as users get it: built, and installed where no clone is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 50.0


@dataclass(frozen=True, slots=True)
class Built:
    """What ``python -m build`` makes: the sdist, and the wheel from it."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment that has dbpool from a wheel, and *folder*, an empty one to be in."""

    python: Path
    folder: Path

    def run(self, *words: str, dsn: str = "") -> subprocess.CompletedProcess[str]:
        """Run Python, or the console script for ``dbpool``, in the empty folder."""
        command = [str(self.python), *words]
        if words[0] == "dbpool":
            command = [str(self.python.with_name("dbpool")), *words[1:]]
        hidden = ("PYTHONPATH", "VIRTUAL_ENV")
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**env, "DATABASE_URL": dsn},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


def build(into: Path, *arguments: str, source: Path = ROOT) -> list[Path]:
    """Build with what the lock has: nothing is downloaded."""
    words = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), *arguments, str(source))
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return sorted(into.iterdir())


def installed(wheel: Path, at: Path, *dependencies: str) -> Installed:
    """A new environment with *wheel* in it.

    Args:
        dependencies: those of this environment's packages that it has, too, by folder; none: all but dbpool itself.
    """
    venv.create(at / "venv", symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(at / "venv")}))
    python = at / "venv" / "bin" / "python"
    words = ("--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=PATIENCE_S)
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        is_ours = package.name.startswith(("dbpool", "_editable", "__editable")) or package.suffix == ".pth"
        wanted = package.name in dependencies if dependencies else not is_ours
        if wanted and not (packages / package.name).exists():
            (packages / package.name).symlink_to(package)
    (at / "empty").mkdir()
    return Installed(python, at / "empty")
