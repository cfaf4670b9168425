"""What a status page says of one pool: a sentence, numbers, tables, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from dbpool.web.tables import Column, Json, duration, moment, number, place, sql, stack, table, text
from dbpool.web.telling import seconds


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def _turned_away(row: Json) -> float | None:
    parts = [row[name] for name in ("timeouts_per_s", "refused_per_s")]
    return None if None in parts else sum(parts)


def _mean_wait(row: Json) -> str:
    return escape(seconds(row["waited_s_total"] / row["granted_total"])) if row["granted_total"] else ""


HOLDERS: Final = (
    Column("Held for", duration("seconds"), "n"),
    Column("Lane", text("lane")),
    Column("Asked for at", place, "code"),
    Column("Statement", sql, "sql"),
    Column("Stands at", stack, "code"),
    Column("Task", text("task"), "task"),
)
WAITERS: Final = (
    Column("Waits for", duration("seconds"), "n"),
    Column("Lane", text("lane")),
    Column("At", place, "code"),
    Column("Statement", sql, "sql"),
    Column("Task", text("task"), "task"),
)
LANES: Final = (
    Column("Lane", text("name")),
    Column("Held", number("held"), "n"),
    Column("At most", number("at_most"), "n"),
    Column("Reserved", number("reserved"), "n"),
    Column("In line", number("waiting"), "n"),
    Column("Granted", number("granted_total"), "n"),
    Column("Mean wait", _mean_wait, "n"),
    Column("In vain", number("timeouts_total"), "n"),
    Column("Refused", number("refused_total"), "n"),
)
SITES: Final = (
    Column("Held in all", duration("held_s_total"), "n"),
    Column("Calls", number("calls_total"), "n"),
    Column("A call", lambda row: escape(seconds(row["held_s_total"] / row["calls_total"])), "n"),
    Column("Place in the program", place, "code"),
)
SLOW_STATEMENTS: Final = (
    Column("At", moment, "t"),
    Column("Took", duration("took_s"), "n"),
    Column("Had waited", duration("waited_s"), "n"),
    Column("Lane", text("lane")),
    Column("Asked for at", place, "code"),
    Column("Statement", sql, "sql"),
)
SLOW_ACQUIRES: Final = (
    Column("At", moment, "t"),
    Column("Waited", duration("waited_s"), "n"),
    Column("Lane", text("lane")),
    Column("Asked for at", place, "code"),
)
EVENTS: Final = (Column("At", moment, "t"), Column("What happened", text("text")))
MINUTES: Final = (
    Column("At", moment, "t"),
    Column("Held", number("held"), "n"),
    Column("In line", number("waiting"), "n"),
    Column("Longest wait", duration("oldest_wait_s"), "n"),
    Column("Granted a second", lambda row: _rate(row["granted_per_s"]), "n"),
    Column("Turned away a second", lambda row: _rate(_turned_away(row)), "n"),
)
MOST_WAITERS: Final = 10  # rows: they are much alike; JSON has more, as of those below
MOST_STATEMENTS: Final = 20
MOST_EVENTS: Final = 20
MOST_CELLS: Final = 60
STEP: Final = 15  # samples, a second apart, between two rows of the table of the last minutes


def sections_of(name: str, pool: Json, timeline: Mapping[str, Sequence[float | None]]) -> dict[str, str]:
    """HTML by the part of the page that holds it; *name* heads it unless that is empty."""
    return {
        "verdict": _verdict(name, pool["verdict"]),
        "numbers": _numbers(pool),
        "holders": table("Who holds a connection", HOLDERS, pool["holders"], "Nobody holds one.", pool["holders_more"]),
        "waiters": table(
            "Who waits for one",
            WAITERS,
            pool["waiters"][:MOST_WAITERS],
            "Nobody waits.",
            pool["gate"]["waiting"] - MOST_WAITERS,
        ),
        "lanes": table("Lanes", LANES, pool["lanes"], "") if pool["lanes"] else "",
        "slow": _slow(pool),
        "sites": table("Where connections were held longest", SITES, pool["sites"], "None was held so far."),
        "events": table("Events", EVENTS, pool["events"][:MOST_EVENTS], "None since this page's app was made."),
        "minutes": _minutes(timeline),
    }


def _verdict(name: str, verdict: Json) -> str:
    title = f"<h2>{escape(name)}</h2>" if name else ""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict["reasons"])
    return (
        f'{title}<div class="verdict {verdict["level"]}"><p class=sentence>{escape(verdict["sentence"])}</p>'
        + (f"<ul>{reasons}</ul>" if reasons else "")
        + "</div>"
    )


def _numbers(pool: Json) -> str:
    gate = pool["gate"]
    facts = [
        ("held", "Held", gate["held"], f"of {gate['limit']:,}"),
        ("idle", "Idle", gate["idle"], ""),
        ("line", "In line", gate["waiting"], f"for {seconds(gate['oldest_wait_s'])}" if gate["waiting"] else ""),
        ("opening", "Being opened", gate["opening"], ""),
        ("gone", "Cut off", gate["zombies"], ""),
    ]
    items = "".join(
        f'<div class="{key}{"" if count else " none"}"><dt>{label}</dt>'
        f"<dd>{count:,}{f' <small>{more}</small>' if more else ''}</dd></div>"
        for key, label, count, more in facts
    )
    return f"{_strip(gate)}<dl class=numbers>{items}</dl>"


def _strip(gate: Json) -> str:
    """The connections as cells in a row; of many, a share of them."""
    gone = min(gate["zombies"], gate["held"])
    idle = min(gate["idle"], max(0, gate["capacity"] - gate["held"]))
    off = min(gate["capacity"] - gate["limit"], max(0, gate["capacity"] - gate["held"] - idle))
    counts = {"held": gate["held"] - gone, "gone": gone, "idle": idle}
    counts["free"] = max(0, gate["capacity"] - sum(counts.values()) - off)
    counts["off"] = off
    scale = min(1.0, MOST_CELLS / max(1, sum(counts.values())))
    cells = "".join(f"<i class={kind}></i>" * _cells(count, scale) for kind, count in counts.items())
    return f"<div class=strip aria-hidden=true>{cells}</div>"


def _cells(count: int, scale: float) -> int:
    return max(1, round(count * scale)) if count else 0


def _slow(pool: Json) -> str:
    """Slow statements, then slow acquires; how to have them told, where they are not."""
    limit_s, acquire_s = pool["slow_query_s"], pool["slow_acquire_s"]
    parts = [
        table(
            "Slow statements",
            SLOW_STATEMENTS,
            pool["slow_statements"][:MOST_STATEMENTS],
            "Not told: give the pool slow_query, in seconds."
            if limit_s is None
            else f"None took {seconds(limit_s)} so far.",
        )
    ]
    if acquire_s is not None or pool["slow_acquires"]:
        parts.append(
            table(
                "Slow acquires",
                SLOW_ACQUIRES,
                pool["slow_acquires"][:MOST_WAITERS],
                "None so far." if acquire_s is None else f"Nobody waited {seconds(acquire_s)} so far.",
            )
        )
    return "".join(parts)


def _minutes(timeline: Mapping[str, Sequence[float | None]]) -> str:
    """The time line as a table, folded."""
    moments = [dict(zip(timeline, values, strict=True)) for values in zip(*timeline.values(), strict=True)]
    rows = moments[::-STEP]
    if not rows:
        return ""
    inner = table("The last minutes", MINUTES, rows, "")
    return f"<details class=minutes><summary>The last minutes as numbers</summary>{inner}</details>"
