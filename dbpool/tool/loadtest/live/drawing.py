"""A run as a screen of text: so many lines, none wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.text import Text

from dbpool.loadtest.events import Event
from dbpool.loadtest.report.strokes import bar, sparkline
from dbpool.loadtest.report.view.numbers import UNKNOWN, clock, count, figure, rate
from dbpool.loadtest.report.view.reading import at
from dbpool.loadtest.sameload import name_of
from dbpool.tool.loadtest.live.seen import LATELY_S, LOST, Line, Seen

LABEL: Final = 13  # columns of what stands before a value
NAME: Final = 30  # at most, of a load's name
KINDS: Final = {"postgres": "PostgreSQL", "pgbouncer": "PgBouncer before PostgreSQL"}


def draw(seen: Seen, *, width: int, height: int, now_s: float, address: str | None = None, plain: bool = False) -> Text:
    """What *seen* has, at *now_s* on the clock of its events, in *height* lines of *width*; *address*: its page's."""
    lines = [
        _heading(seen, width, now_s),
        *([] if address is None else [Text(address, "underline")]),
        *_stage(seen, width, now_s, plain=plain),
        Text(),
        *_point(seen, width, plain=plain),
        _rates(seen, width, plain=plain),
        _latencies(seen, width, plain=plain),
        *_server(seen),
        _errors(seen),
    ]
    notes = [_note(note) for note in seen.notes]
    room = height - len(lines) - len(notes) - (2 if notes else 1)
    lines += [Text(), *_table(seen, width, room, plain=plain)]
    if notes:
        lines += [Text(), *notes]
    return Text("\n").join(_cut(line, width) for line in lines[:height])


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _heading(seen: Seen, width: int, now_s: float) -> Text:
    meta = seen.meta
    command = at(meta, "run", "command") or ""
    line = Text.assemble((f"dbpool loadtest {command}".rstrip(), "bold"))
    if meta is not None:
        where = ", embedded" if at(meta, "target", "embedded") else ""
        line.append(
            f"  {KINDS.get(at(meta, 'target', 'kind') or '', '')} {at(meta, 'target', 'version')}{where}", "dim"
        )
    return _spread(line, Text(clock(now_s), "dim"), width)


def _stage(seen: Seen, width: int, now_s: float, *, plain: bool) -> Iterable[Text]:
    name = seen.stage_name
    if not name:
        return [Text("calibrating", "cyan")]
    line = Text(name, "bold cyan")
    if seen.stage is not None:
        line.append(f"  {seen.stage['text']}", "")
    said = []
    if points := at(seen.stage, "points"):
        said.append(f"point {min(points, seen.points_in_stage + 1)} of {points}")
    elif seen.points_in_stage:
        said.append(f"{seen.points_in_stage} point{'' if seen.points_in_stage == 1 else 's'} so far")
    if (left_s := seen.left_s(now_s)) is not None:
        said.append(f"{clock(left_s)} left")
    lines = [_spread(line, Text(", ".join(said)), width)]
    if (share := seen.stage_share(now_s)) is not None:
        lines.append(_progress(share, width, plain=plain))
    return lines


def _point(seen: Seen, width: int, *, plain: bool) -> Iterable[Text]:
    load = seen.load
    if load is None:
        return [Text("nothing is loaded just now" if seen.stage_name else "", "dim")]
    second = -1 if seen.tick is None else seen.tick["second"]
    past_s, warmup_s, time_s = second + 1, load["warmup_s"], load["time_s"]
    if past_s < warmup_s:
        when = f"warm-up, {past_s} of {warmup_s:g} s"
    elif past_s <= warmup_s + time_s:
        when = f"{past_s - warmup_s:.0f} of {time_s:g} s"
    else:
        when = "waiting for what is under way"
    right = Text(f"{when} ", "dim")
    right.append(bar(seen.point_share, 1.0, 20, plain=plain).ljust(20), "cyan")
    return [_spread(Text(name_of({"gate": None, "workers": 1, **load}), "bold"), right, width)]


def _rates(seen: Seen, width: int, *, plain: bool) -> Text:
    now = seen.tps[-1] if seen.tps else None
    most = max((value for value in seen.tps if value is not None), default=None)
    return _lately("tps", rate(now), seen.tps, f"most {rate(most)}", width, "green", plain=plain)


def _latencies(seen: Seen, width: int, *, plain: bool) -> Text:
    now = seen.p99_ms[-1] if seen.p99_ms else None
    most = max((value for value in seen.p99_ms if value is not None), default=None)
    return _lately("p99 ms", figure(now), seen.p99_ms, f"most {figure(most)}", width, "magenta", plain=plain)


def _lately(
    label: str, now: str, values: Iterable[float | None], most: str, width: int, style: str, *, plain: bool
) -> Text:
    """The last value, a line of the last minute, and its top."""
    room = max(0, min(LATELY_S, width - LABEL - 10 - len(most) - 2))
    drawn = sparkline(list(values)[-room:] if room else [], plain=plain)
    return Text.assemble(
        (label.ljust(LABEL), "dim"), (now.rjust(8), "bold"), "  ", (drawn, style), (f"  {most}", "dim")
    )


def _server(seen: Seen) -> Iterable[Text]:
    sample = seen.sample
    if sample is None:
        return [_labelled("connections", "not looked at yet")]
    ours = "not seen" if sample["ours"] is None else _counted(sample["ours"])
    others = "not seen" if sample["others"] is None else f"{sum(sample['others'].values()):,}"
    lines = [_labelled("connections", f"{ours}; of others {others}")]
    if sample["waits"]:
        cpu = "" if sample["cpu"] is None else f"; {figure(sample['cpu'], 2)} processors used"
        lines.append(_labelled("waiting for", f"{_counted(sample['waits'])}{cpu}"))
    return lines


def _counted(numbers: Mapping[str, int]) -> str:
    """``12 active, 2 idle``: the most first."""
    found = sorted(numbers.items(), key=lambda each: -each[1])
    return ", ".join(f"{number:,} {name}" for name, number in found if number) or "none"


def _errors(seen: Seen) -> Text:
    known = dict(seen.errors.most_common(4))
    if seen.unclassified:
        known["in this point"] = seen.unclassified
    told = [f"{label}: {number:,}" for label, number in known.items()]
    told += [f"{name}: {seen.lost[name]:,}" for name in LOST if seen.lost[name]]
    line = _labelled("errors", ", ".join(told) or "none")
    if seen.errors or seen.unclassified:
        line.stylize("red", LABEL)
    return line


def _table(seen: Seen, width: int, room: int, *, plain: bool) -> Iterable[Text]:
    """Each load with a bar; where there is no room for all, those around the best."""
    if not seen.lines or room < 2:
        return []
    lines = sorted(seen.lines, key=lambda line: line.size or 0) if seen.stage_name == "sweep" else seen.lines
    top = max(line.tps for line in lines)
    best = next(number for number, line in enumerate(lines) if line.tps == top)
    marks = _marks(seen, lines[best])
    first = max(0, min(best - (room - 1) // 2, len(lines) - (room - 1)))
    shown = lines[first : first + room - 1]
    name_wide = min(NAME, max(len(line.name) for line in shown))
    bars = max(4, width - name_wide - 43)
    head = f"{'':{name_wide}}  {'tps':>9}  {'':{bars}}  {'p99 ms':>9}  {'n':>2}"
    if len(shown) < len(lines):
        head = f"{f'{len(shown)} of {len(lines)} loads':{name_wide}}{head[name_wide:]}"
    return [
        Text(head, "dim"),
        *(_row(line, marks.get(line.name, ""), top, name_wide, bars, plain=plain) for line in shown),
    ]


def _marks(seen: Seen, best: Line) -> dict[str, str]:
    marks = {best.name: "best so far"} if best.is_closed else {}  # of an open loop the largest rate is no merit
    size = at(seen.verdict, "recommendation", "pool_size") or at(seen.verdict, "knee", "size")
    marks |= {line.name: "to use" for line in seen.lines if seen.stage_name == "sweep" and line.size == size}
    return marks


def _row(line: Line, mark: str, top: float, name_wide: int, bars: int, *, plain: bool) -> Text:
    drawn = bar(line.tps, top, bars, plain=plain).ljust(bars)
    p99 = UNKNOWN if line.response_p99_ms is None else figure(line.response_p99_ms)
    style = "bold green" if mark else "dim" if line.is_bound else "cyan"
    return Text.assemble(
        (line.name[:name_wide].ljust(name_wide), "bold" if mark else ""),
        f"  {rate(line.tps):>9}  ",
        (drawn, style),
        f"  {p99:>9}  {count(line.repeats):>2}",
        (f"  {mark or ('generator' if line.is_bound else '')}", style),
    )


def _note(event: Event) -> Text:
    return Text(f"{clock(event['t'])}  {event['stage']}: {event['text']}", "dim")


def _progress(share: float, width: int, *, plain: bool) -> Text:
    room = max(1, width - 7)
    return Text.assemble((bar(share, 1.0, room, plain=plain).ljust(room), "cyan"), f" {share * 100:3.0f} %")


def _labelled(label: str, text: str) -> Text:
    return Text.assemble((label.ljust(LABEL), "dim"), text)


def _spread(left: Text, right: Text, width: int) -> Text:
    """One at each end of the line; the left one gives way."""
    room = max(0, width - len(right) - 2)
    left.truncate(room, overflow="ellipsis", pad=True)
    return Text.assemble(left, "  ", right)
