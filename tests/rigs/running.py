"""Rigs at work in processes of their own, and what they have found so far."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.rigs.findings import Findings, Violation
from tests.rigs.known import ROOT, Known, replay
from tests.rigs.sharing import Turn

NICE = 19
STOP_PATIENCE_S = 60.0  # for a rig to look at what it has once more


def patience_s(seconds: float) -> float:
    """How long a round may take beyond its time: a ledger is read to its end."""
    return 60.0 + 0.25 * seconds


@dataclass(slots=True)
class Run:
    """Lanes of rigs under way; ``found`` by name grows with every round."""

    rigs: Mapping[str, Known]
    seed: int
    found: dict[str, Findings] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    """What each rig that is at work said last."""
    is_stopped: bool = False
    started: float = field(default_factory=time.monotonic)
    noted: Callable[[], None] = lambda: None
    """Called whenever there is more in ``found``."""
    _at_work: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def lane(self, turns: list[Turn]) -> None:
        """One turn after the other."""
        for turn in turns:
            for seconds, seed in turn.rounds(self.seed):
                if self.is_stopped:
                    return
                self._add(await self.round(turn, seconds, seed))

    async def round(self, turn: Turn, seconds: float, seed: int) -> Findings:
        """One process; one that breaks down or does not end is a violation, too."""
        rig = self.rigs[turn.name]
        with tempfile.TemporaryDirectory(prefix="dbpool-rig-") as place:
            file = Path(place) / "found.json"
            words = [sys.executable, "-m", "tests.rigs.alone", rig.module, f"{seconds:.3f}", str(seed)]
            words += [str(NICE if turn.is_beside else 0), str(file)]
            with (Path(place) / "errors").open("w+b") as errors:
                process = await asyncio.create_subprocess_exec(
                    *words,
                    cwd=ROOT,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is for us: it is told by the end of its stdin
                )
                self._at_work[turn.name] = process
                try:
                    why = await self._followed(turn.name, process, seconds)
                finally:
                    del self._at_work[turn.name]
                    self.says.pop(turn.name, None)
                if file.exists():
                    return Findings.from_plain(json.loads(file.read_text("utf-8")))
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        found = Findings(turn.name, took_s=0.0)
        if not (self.is_stopped and not why):
            text = f"the rig {turn.name} {why or f'ended with exit code {process.returncode}'}: {''.join(last)}"
            found.violations.append(Violation("M13", text, replay(turn.name, seconds, seed)))
        return found

    def stop(self) -> None:
        """Have all of them end soon; a second time: at once."""
        for process in self._at_work.values():
            if self.is_stopped:
                with suppress(ProcessLookupError):
                    process.kill()
            elif process.stdin is not None:
                process.stdin.close()
        self.is_stopped = True

    async def _followed(self, name: str, process: asyncio.subprocess.Process, seconds: float) -> str:
        """Read what it says until it ends; why it had to be ended, if so."""
        assert process.stdout is not None

        async def listen(stream: asyncio.StreamReader) -> None:
            while line := await stream.readline():
                self.says[name] = line.decode(errors="replace").strip()
            await process.wait()

        try:
            async with asyncio.timeout(seconds + patience_s(seconds)):
                await listen(process.stdout)
            return ""
        except TimeoutError:
            return f"did not end {patience_s(seconds):.0f} s after its time"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _add(self, found: Findings) -> None:
        if found.rig in self.found:
            took_s = self.found[found.rig].took_s + found.took_s  # one after the other
            self.found[found.rig].merge([found])
            self.found[found.rig].took_s = took_s
        else:
            self.found[found.rig] = found
        self.noted()
