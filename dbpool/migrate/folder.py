"""A folder of steps, and how alembic is told of it."""

from __future__ import annotations

import traceback
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbpool.errors import MigrationError
from dbpool.faults import one_line
from dbpool.migrate.reports import Revision

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

VERSION_TABLE = "alembic_version"  # alembic's own default, so that a folder may change to plain alembic and back
OURS = Path(__file__).with_name("scripts")  # for folders that have no env.py or no script.py.mako of their own
FILES = "%%(year)d%%(month).2d%%(day).2d_%%(rev)s_%%(slug)s"  # sorted by name they stand in the order of their making


@dataclass(frozen=True, slots=True)
class Folder:
    """Where steps are."""

    path: Path
    is_own: bool  # the package's

    @property
    def has_env(self) -> bool:
        """Whether it says itself how it is run."""
        return (self.path / "env.py").is_file()

    @property
    def env(self) -> Path:
        """The folder whose env.py is run."""
        return self.path if self.has_env else OURS

    def __str__(self) -> str:
        return "dbpool's own migrations" if self.is_own else str(self.path)


def folder_at(path: str | Path | None) -> Folder:
    """The folder at *path*; None: the package's own, in a clone beside the package, inside it once it is installed.

    Raises: MigrationError: there is none, or it has no steps.
    """
    if path is None:
        package = Path(__file__).parents[1]
        installed, clone = package / "_migrations", package.parent / "migrations"
        return Folder(installed if installed.is_dir() else clone, is_own=True)
    found = Folder(Path(path).absolute(), is_own=False)
    if not found.path.is_dir():
        wrong = "is no folder" if found.path.exists() else "does not exist"
        raise MigrationError(
            f"{path} {wrong}: dbpool migrate new 'what it does' -f {path} makes it, with a first step."
        )
    return found


def config_of(folder: Folder, **attributes: Any) -> Config:  # noqa: ANN401 - for env.py, which knows what they are
    """What alembic is told of *folder*; an alembic.ini beside it counts where it is about this folder."""
    from alembic.config import Config

    config = _ini_of(folder) or Config()
    config.cmd_opts = Namespace(quiet=True, x=None)  # whoever calls says what is written; no -x was given
    scripts = folder.path if (folder.path / "script.py.mako").is_file() else OURS
    _set(config, "script_location", str(scripts))
    if not config.get_main_option("version_locations"):
        _set(config, "version_locations", str(folder.path / "versions"))
        _set(config, "path_separator", "newline")
    if not config.get_main_option("file_template"):
        config.set_main_option("file_template", FILES)
    config.attributes.update(attributes)
    return config


def script_of(config: Config, folder: Folder, *, may_be_empty: bool = False) -> ScriptDirectory:
    """The steps of *folder*, read.

    Raises: MigrationError: there are none, or one of the files cannot be read.
    """
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionMap

    try:
        script = ScriptDirectory.from_config(config)
        steps = [*script._load_revisions()]  # noqa: SLF001 - alembic would read them itself, and warn of what cannot be
        _check_history(folder, steps)
        script.revision_map = RevisionMap(lambda: iter(steps))
        is_empty = not script.get_heads()
    except MigrationError:
        raise
    except SyntaxError as error:
        raise MigrationError(f"{error.filename}, line {error.lineno}, is no Python: {error.msg}") from error
    except Exception as error:
        raise MigrationError(
            f"the steps in {folder} cannot be read: {one_line(error)}{_place(error, folder)}"
        ) from error
    if is_empty and not may_be_empty:
        raise MigrationError(
            f"there are no steps in {folder.path / 'versions'}: dbpool migrate new 'what it does' -f {folder.path} "
            f"makes the first."
        )
    return script


def _check_history(folder: Folder, steps: Sequence[Script]) -> None:
    """Raises: MigrationError: two steps have one id, or one comes after a step that is not there."""
    files: dict[str, str] = {}
    for step in steps:
        file = Path(step.path).name
        if step.revision in files:
            raise MigrationError(
                f"two steps in {folder} are {step.revision}: {files[step.revision]} and {file}. Give one another id."
            )
        files[step.revision] = file
    known = files.keys() | {label for step in steps for label in step.branch_labels}
    for step in steps:
        for before in step._versioned_down_revisions:  # noqa: SLF001 - alembic's own word for a tuple of them
            if before not in known:
                raise MigrationError(
                    f"step {files[step.revision]} in {folder} comes after {before}, which is not there: its file is "
                    f"missing, or its down_revision is wrong."
                )


def _place(error: BaseException, folder: Folder) -> str:
    """Where in the steps it went wrong, if it was in one."""
    steps = folder.path.resolve()
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if steps in Path(frame.filename).resolve().parents
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def revision_of(script: Script) -> Revision:
    """What is told of one step."""
    # the one-line header that alembic's own templates begin with, or all of ours
    message = (script.doc or "").split("\n")[0].strip()
    return Revision(script.revision, message, tuple(script._normalized_down_revisions), Path(script.path).name)  # noqa: SLF001 - alembic's own word for a tuple of them


def _ini_of(folder: Folder) -> Config | None:
    """The alembic.ini beside or in *folder* whose script_location it is."""
    from alembic.config import Config

    for place in (folder.path.parent, folder.path):
        if (ini := place / "alembic.ini").is_file():
            config = Config(str(ini))
            location = config.get_main_option("script_location")
            if location is not None and (place / location).resolve() == folder.path.resolve():
                config.config_file_name = None  # it is read: env.py need not set logging up for the whole program
                return config
    return None


def _set(config: Config, name: str, value: str) -> None:
    config.set_main_option(name, value.replace("%", "%%"))
