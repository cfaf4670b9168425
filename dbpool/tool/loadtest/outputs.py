"""Where a run is shown while it goes on, and written when it is over."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from dbpool.errors import SettingsError
from dbpool.loadtest.document import Run, summary_of
from dbpool.loadtest.events import Events
from dbpool.loadtest.live.livepage import LivePage
from dbpool.loadtest.ndjson import STDOUT, TimeLine
from dbpool.loadtest.report import html, markdown
from dbpool.tool.loadtest.plan import Outputs
from dbpool.tool.loadtest.screen import screen_of

RUN: Final = "run.json"
PAGE: Final = "report.html"
COMMENT: Final = "report.md"
TIME_LINE: Final = "timeline.ndjson"


def check_outputs(outputs: Outputs) -> None:
    """Make the folder, and see that files can be written, before anything is measured.

    Raises:
        SettingsError: they cannot, or two things go to stdout.
    """
    if outputs.as_json and outputs.timeseries == STDOUT:
        raise SettingsError("--json and --timeseries - both write to stdout: give one of them a file")
    if outputs.folder is not None:
        try:
            outputs.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{outputs.folder} cannot be made: {error.strerror}") from None
    for path in _files(outputs):
        is_there = path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from None
        if not is_there:
            path.unlink()


@asynccontextmanager
async def shown(outputs: Outputs, run: Run, events: Events) -> AsyncIterator[None]:
    """Tell whoever listens what happens within the block, the document without its lines at either end.

    Raises:
        SettingsError: a file cannot be opened, or the page's address makes no sense.
    """
    async with AsyncExitStack() as stack:
        for path in _time_lines(outputs):
            events.listen(stack.enter_context(TimeLine(path, lambda text: run.warn("timeline", text))).take)
        address = None
        if outputs.web is not None:
            page = LivePage(events, run.as_json, host=outputs.web.host, port=outputs.web.port)
            try:
                await stack.enter_async_context(page)
            except OSError as error:
                where = f"{outputs.web.host}:{outputs.web.port}"
                raise SettingsError(
                    f"the page cannot be served on {where} (--web): {os.strerror(error.errno or 0)}"
                ) from None
            address = page.url
            sys.stderr.write(f"the report, while it grows: {address}\n")
        every_s = 0 if outputs.as_json and not sys.stderr.isatty() else outputs.progress
        is_taken = outputs.timeseries == STDOUT
        screen = stack.enter_context(screen_of(every_s, is_stdout_taken=is_taken, address=address))
        events.listen(screen.take)
        events.tell("meta", **summary_of(run.as_json()))
        try:
            yield
        finally:
            events.tell("summary", **summary_of(run.as_json()))


def write_files(outputs: Outputs, document: Mapping[str, Any]) -> list[Path]:
    """Write what was asked for. Returns: which files.

    Raises:
        OSError: one cannot be written.
    """
    texts: dict[Path, str] = {}
    if outputs.folder is not None:
        texts[outputs.folder / RUN] = json.dumps(document) + "\n"
        texts[outputs.folder / PAGE] = html.page(document)
        texts[outputs.folder / COMMENT] = markdown.text(document)
    if outputs.html is not None:
        texts[outputs.html] = html.page(document)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _files(outputs: Outputs) -> list[Path]:
    """What is written at the end."""
    paths = [] if outputs.folder is None else [outputs.folder / name for name in (RUN, PAGE, COMMENT)]
    return paths if outputs.html is None else [*paths, outputs.html]


def _time_lines(outputs: Outputs) -> list[Path]:
    paths = [] if outputs.folder is None else [outputs.folder / TIME_LINE]
    return paths if outputs.timeseries is None else [*paths, outputs.timeseries]
