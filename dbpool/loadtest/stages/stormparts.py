"""A part of a storm, as it was and as it stands in the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbpool.core.histogram import Histogram
from dbpool.core.loadtest.cdf import cdf
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.point import NS_PER_MS
from dbpool.loadtest.pointjson import durations_json
from dbpool.loadtest.server.crowd import Crowd
from dbpool.loadtest.stages.bystander import Bystander, Felt
from dbpool.loadtest.stages.refill import Refill
from dbpool.loadtest.stages.refusals import failures_of
from dbpool.wording import counted

BUSY: Final = 0.9  # of a processor, which is all that one process of Python can use
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}


@dataclass(slots=True, kw_only=True)
class Part:
    """What was measured from *begin_ns* to *end_ns*, and what rested until *rested_ns*, monotonic.

    Args:
        connections: that were to be open at the same time.
        took_ns: of those who connected in this process, until they were in; None: nobody did.
        ready_s: until all were, and did what they are to do; None: never.
        failures: by what results call the reason.
        retries: None: nobody came again.
        throughput_s: until a load went on as before; None: the bystander says when all is as before.
        said: sentences.
    """

    name: str
    connections: int
    begin_ns: int
    end_ns: int = field(default_factory=now_ns)
    rested_ns: int = 0
    took_ns: Sequence[int] | None = None
    ready_s: float | None
    failures: Counter[str]
    retries: int | None = None
    is_load: bool = False
    throughput_s: float | None = None
    point: int | None = None
    said: Sequence[str] = ()

    def as_json(self, bystander: Bystander, alone: Felt) -> dict[str, Any]:
        """The entry of ``parts``, with what the *bystander* felt."""
        felt = bystander.felt(self.begin_ns, self.end_ns)
        ratio, by = felt.ratio_to(alone)
        calm_s = bystander.recovery_s(alone, self.end_ns, self.rested_ns)
        return {
            "name": self.name,
            "connections": self.connections,
            "connect_ms": None if self.took_ns is None else _connects_json(self.took_ns),
            "ready_s": self.ready_s,
            "failures": dict(self.failures.most_common()),
            "retries": self.retries,
            "bystander": durations_json(felt.responses),
            "bystander_ratio": ratio,
            "bystander_by": None if ratio is None else by,
            "recovery_s": self.throughput_s if self.is_load else calm_s,
            "point": self.point,
            "text": "; ".join([*self.said, _felt(felt, alone, calm_s)]),
        }


def crowd_part(name: str, crowds: Sequence[Crowd]) -> Part:
    """Those who came at once, in one or more rounds: *ready_s* is the longest of them."""
    first = crowds[0]
    failures = sum((crowd.failures for crowd in crowds), Counter())
    missing = sum(crowd.missing for crowd in crowds)
    retries = sum(crowd.retries for crowd in crowds)
    took_s = max(crowd.took_s for crowd in crowds)
    rounds = f", {len(crowds)} times" if len(crowds) > 1 else ""
    said = [f"{counted(first.size, 'connection')} at once{rounds}"]
    if not missing:
        said.append(f"all were there after {took_s:.2f} s")
    else:
        said.append(f"{missing} never got in")
    if failures:
        said.append(f"{_listed(failures)}" + (f"; {retries} came again" if retries else ""))
    if max(crowd.cpu for crowd in crowds) > BUSY:
        said.append("this process itself was the bottleneck: the server may be faster")
    return Part(
        name=name,
        connections=first.size,
        begin_ns=first.began_ns,
        took_ns=[took for crowd in crowds for took in crowd.took_ns],
        ready_s=None if missing else took_s,
        failures=failures,
        retries=retries if name == "beyond" else None,
        said=said,
    )


def refill_part(name: str, refill: Refill) -> Part:
    """A pool that got its connections under load: ready when all are open, and the throughput stands."""
    failures = failures_of(refill.done.point)
    lost = f"{counted(refill.lost, 'session')} ended under load" if name == "kill" else "an empty pool under full load"
    said = [lost]
    if refill.open_s is None:
        said.append(f"{refill.most_open} of {refill.size} connections were open at the end")
    else:
        said.append(f"all {refill.size} were open {'again ' if refill.lost else ''}after {refill.open_s:.2f} s")
    if refill.throughput_s is not None:
        said.append(f"the throughput stood after {refill.throughput_s:.1f} s")
    else:
        said.append("the throughput did not come to stand")
    if failures:
        said.append(_listed(failures))
    is_ready = refill.open_s is not None and refill.throughput_s is not None
    return Part(
        name=name,
        connections=refill.size,
        begin_ns=refill.begin_ns,
        ready_s=max(refill.open_s or 0.0, refill.throughput_s or 0.0) if is_ready else None,
        failures=failures,
        is_load=True,
        throughput_s=refill.throughput_s,
        point=refill.done.json["id"],
        said=said,
    )


def _connects_json(took_ns: Sequence[int]) -> dict[str, Any]:
    took = Histogram(took_ns)
    found = zip(_SHARES, took.quantiles(_SHARES.values()), strict=True)
    return {
        "n": took.n,
        **{name: None if value is None else value / NS_PER_MS for name, value in found},
        "max": None if took.max is None else took.max / NS_PER_MS,
        "cdf": [list(point) for point in cdf([each / NS_PER_MS for each in took_ns])],
    }


def _felt(felt: Felt, alone: Felt, calm_s: float | None) -> str:
    ratio, by = felt.ratio_to(alone)
    if ratio is None:
        return "what the bystander felt is not known"
    name = "p99" if by == "p99" else "slowest (n is too small for p99)"
    words = f"the bystander's {name} was {ratio:.1f} times that of before, {_ms(felt, by)} after {_ms(alone, by)}"
    if felt.failed:
        words += f", {felt.failed} of its transactions failed"
    if calm_s is None:
        return f"{words}; it was still disturbed when the next part began"
    return words if not calm_s else f"{words}; it was as before after {calm_s:g} s"


def _ms(felt: Felt, by: str) -> str:
    value = felt.responses.quantile(0.99) if by == "p99" else felt.responses.max
    return "-" if value is None else f"{value / NS_PER_MS:.1f} ms"


def _listed(failures: Counter[str]) -> str:
    return ", ".join(f"{count:,} x {label}" for label, count in failures.most_common())
