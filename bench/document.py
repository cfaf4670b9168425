"""The results as a Markdown page, with how they were measured."""

from __future__ import annotations

from typing import Any

from bench import closedloops, fairness, generating, jobs, recorder
from bench.changing import MOST
from bench.contenders import CONNECTIONS, SQL
from bench.database import ROWS
from bench.distance import ONE_WAY_S
from bench.idle import PROCESSES
from bench.lanes import REPORT_EVERY_S
from bench.lookups import ROUNDS_OF_A_PROCESS
from bench.manykeys import CHUNK
from bench.ratios import OURS
from bench.report import judged, tables, targets_table
from bench.tables import as_markdown
from bench.targets import TARGET_TASKS, summary


def as_document(results: dict[str, Any]) -> str:
    all_judged = judged(results)
    machine = "\n".join(f"- {name}: {value}" for name, value in results["machine"].items())
    skipped = sorted(
        {
            f"- {loop}: {name}: {why}"
            for loop, measured in results.get("lookups", {}).items()
            for name, why in measured["skipped"].items()
        }
    )
    parts = [
        _INTRODUCTION.format(summary=summary(all_judged)),
        as_markdown(targets_table(all_judged)).replace("### Targets\n\n", ""),
        _OBSTACLES,
        "## The machine\n",
        machine + "\n",
        "## How it was measured\n",
        _method(results["settings"]),
        *(["Left out:\n", "\n".join(skipped) + "\n"] if skipped else []),
        "## Results\n",
        *map(as_markdown, tables(results)),
    ]
    return "\n".join(parts).rstrip() + "\n"


_INTRODUCTION = """# Performance

What one run of `make bench` printed, losses included. The absolute numbers belong to the machine below; the ratios are
what can be compared, for both sides of each were measured seconds apart, on the same server. `make bench` measures
your own machine.

{summary}:
"""


_OBSTACLES = """## What stands in the way of those that are missed

Measured by profiling (cProfile, the driver replaced by a stub) on two processors that client and server share.

- **Bare connections with 200 tasks, on uvloop.** Without any input or output, a lookup costs 5.5 µs of Python in line
  and 4.3 µs with nobody there, beyond the future that it waits for; no function takes more than a tenth of it. What
  was tried, and stayed: whoever ends a lease sends the next statement, instead of waking its task to send it (0.91 to
  0.98 of bare in a prototype); deadlines share timers (3 µs to 0.3 µs); no system call to find the running loop or
  task (0.4 to 0.8 µs each); no future of the pool's own where nobody waits (0.4 µs); one coroutine less (0.2 µs); on
  asyncio's loop, reads of 64 KiB (no page faults, two before). The rest is the line itself: 200 tasks are woken
  instead of 10. In eight runs with the same code the median was between 0.70 and 0.94: the two processors slow each
  other down when both are busy, and the more evenly client and server work, the more.
- **asyncpg.Pool, the article's listing and SQLAlchemy, on uvloop.** 1.8 to 2.6 for the first two and 6.5 to 7.7 for
  the third, from run to run, for the same reason.
- **One task.** With nobody in line the caller awaits the driver's own future. What is left is about 20 Python calls, 4
  µs when they are in the processor's cache; here each lookup sleeps for the server in between, and finds it cold.
- **`create_pool`, on uvloop.** For the same reason: 18 µs of processor time a lookup, where asyncpg.Pool takes 37.
  Through `acquire()` both make two round trips, for the statement and for the reset that asyncpg's pool promises; what
  limits both is the client, which on uvloop takes 48 µs, and 38 for asyncpg.Pool. In a profile, with a server, half of
  the difference is how a lease ends, a quarter the line, the rest the watch for deadlocks and the place in the
  program.
- **SQLAlchemy Core.** 3.9 and 4.1 of two runs on asyncio, 4.3 and 4.5 on uvloop. Of the 87 to 106 µs of a processor
  that a lookup takes, SQLAlchemy takes 35 to make the statement and 20 for its cache key, on both sides; the text of a
  statement and its arguments then go the way of any text. What this package adds to those two was 19 µs and is 5: the
  key is made without keeping it on the statement, where the shape is kept instead.
- **SQLAlchemy's ORM and connections.** 0.91 to 1.04 in four runs. Nearly all of a session's 500 µs is SQLAlchemy's own,
  on both sides. Tried, and stayed, together 0.70 to 0.95 - 1.0 in processor time: BEGIN leaves with the first
  statement; nobody waits for the ROLLBACK of who only read; both without a coroutine or timer of their own; a
  connection that came with the permit is taken without a time limit. What is left: three system calls to send, as
  SQLAlchemy's has; its pool's record and events at each checkout (5 %); the watch for deadlocks, as each session
  holds its connection as a task (4 %); the place in the program (2 %). The 99th percentile is a third to a half of that
  of SQLAlchemy's pool, which lets newcomers overtake. Rejected: a BEGIN that waits for the second statement, for it
  would let go of the first one's locks in between.
- **Telemetry by OpenTelemetry's SDK.** Its version 1.45 takes 26 µs for a span with eight attributes that goes to an
  exporter, and 6 to 12 for each duration that is recorded, of which a call has three: about 50 µs, before this package
  does anything. Its own share is 10: what can be said of a text is worked out once and kept. Prometheus, and the API
  without an SDK, stay below 30 µs. Without any of them no cost was found: in 28 interleaved blocks, the commit before
  the hooks beside the one after them, the medians of a lookup's processor time were 34.9 and 34.8 µs.
- **Lanes.** Three take about 1 µs a call more than one, to find whose turn it is. A report takes 0.5 ms, so that ten
  of them are half a per cent of a second.
- **psycopg_pool and psqlpy, 5 x.** With autocommit and prepared statements psycopg_pool makes a third to a half of the
  lookups of bare asyncpg here. Five times as many would be as many as pgbench makes, which has no Python in it. To
  answer many waiting calls with one statement gets there: see the coalesced calls.
- **pgbench, for `map` and coalesced calls.** The server is not the limit but one Python process: a lookup through
  `map` takes 1.6 µs of its processor in a quiet hour and twice that with other work beside it, half of it to decode
  the rows, and a coalesced call 8 (10 to 13), of which its own coroutine, task and future are half. pgbench, which has
  nothing to decode, takes 5 µs with its server beside it, and gains most from a quiet machine. Tried, and stayed: one
  timer for a queue instead of one for each call, no look for a nested lease where only batches hold permits, answers
  set without a call for each, columns without an iterator for each item. Tried, and dropped: shares of 50 calls
  instead of 32 (5 to 12 % more of one text on uvloop, and its last per cent waits longer). On uvloop asyncpg.Pool
  itself is faster by half, and `map` is not.
- **Ten texts mixed.** A batch takes about 70 µs of the client, and 9 µs for each call in it. One goes out as soon as a
  connection is free, which ten texts that have ten connections find soon: with 10 to 13 calls, of the 20 callers that
  a text has here. More batches under way only share two processors. Tried, and stayed: four quick batches of a lane at
  most, whatever their texts, the others in turn: on uvloop 72,000 lookups a second beside 60,000, p99 5.4 ms beside
  5.9, which is 2.8 to 2.9 times each call alone. Batches of 20 at most, with a tenth of the callers each, cannot be as
  large as those of one text. Through a network of 2.6 ms ten connections are best, 28,000 beside 17,000 with three,
  and 3,000 one by one.
- **`id = any($1)`, by hand, and `fetchmany`, beside `map`.** `any` is one index scan, without places to join: it is
  what a statement like this one can be rewritten to. A row comes once however often its key was asked for, in any
  order, and not at all for a key that is not there; that is for the caller to put right, as here, and one bad key
  fails its chunk. `fetchmany` says nothing about which row is whose. `map` takes any statement as it is, proves that
  its batches answer as single statements would, and begins with small ones: with 2,000,000 keys, in order, it makes
  400,000 a second.
- **Import.** A frozen dataclass costs 0.5 to 1 ms, and there are 30: events, reports, statistics. Bulk work,
  `create_pool`, SQLAlchemy, telemetry and the like are loaded when they are first used. It is half of what asyncpg
  takes: 30 ms beside 62 here, 61 beside 132 when others used the machine.
- **A Gate's line, cancelled in random order.** Tasks that wait for bare futures take half of that: what is cancelled
  is no longer in the processor's caches. On a machine that is faster by a third it was 0.94 s.
- **Exports by two connections.** Of a million rows as CSV the server takes 175 to 190 ms of processor time by `COPY
  table`, 190 to 205 by ranges of pages; the client takes 175 to 220 ms by asyncpg, 115 to 125 here by two connections
  and 100 to 110 by four. On two processors that one COPY fills already, 1.4 would need a client of 70 ms. To read and
  to write those bytes takes 16 ms in a bare loop, to take the messages apart 10 to 15; the rest is turns of the event
  loop, for the server sends 8 KiB at a time and each wakes the client: 1,000 to 1,600 reads. Tried, and stayed: reads
  of 192 KiB during a COPY, pieces written without joining them (together 8 % of the client). Tried, and dropped: a
  pause of 1 ms, the shortest that the loop has, after each piece, which makes 270 reads and a client of 105 ms, but
  the server waits meanwhile, as its socket holds 190 KB (1.05 beside 1.23 without); blocks of 256 KiB (1.02 beside
  1.14); blocks of 4 MiB and three connections (no difference that could be told). In a quiet hour it is 1.27 for CSV
  and 1.16 for binary; beside other work, which takes from all, it was 1.1 to 1.8.
- **Parquet.** ADBC makes Arrow of COPY's binary in C++, where dbpool has the server write CSV, which pyarrow reads: so
  a type needs no decoder of its own. `fetch_arrow_table` has the whole table in memory; by batches, which it need not,
  ADBC is about as quick as two connections.
- **CSV by four connections.** For the same reason as exports: 1.5 to 1.9 times as quick as psql, from run to run.
- **Records by `load`.** What limits both is the client: of 100,000 records the server takes 30 ms, the client 71 to 77
  by `copy_records_to_table` and 76 to 80 by `load` (98 to 112 before), 60 of them to encode. Tried, and stayed,
  together 0.70 to 0.97 - 1.01: columns of a fixed size packed together, moments counted without a division (77 to 61
  ms); records encoded while they are sent, not a chunk at a time; fewer, larger chunks, for each costs about a
  millisecond. A quarter of what encoding takes is two moments' difference as a number. Tried, and dropped: one
  connection (0.93 to 0.96), as nothing is encoded while it commits; first chunks of 5,000 rows (0.90 by one
  connection, beside 0.95 for 20,000). The loop is away for 7.5 ms at the longest, 5 with one connection, and 17 with
  the driver's. psycopg's COPY is quicker than both by its timestamps: 0.6 µs for a row of one, where the driver takes
  1.8 and `load` 1.5; for integers it is 0.6, 0.4 and 0.9.
- **Upserts.** 1.75 is the median of five rounds; runs of a single round (`--quick`) had 1.27, 1.54 and 1.58.
- **Jobs.** A transaction takes two more round trips than an `executemany` of the same rows, each chunk about 0.06 ms
  to digest its parameters. While transactions are short one of them stores up to eight chunks, which a source that is
  read for the first time begins with one, two, four. That costs nothing beside an `executemany` for each chunk of 500
  (19 % before; 4, -12 and -0.5 % in three runs), but 9 to 15 % beside one of 4,000 rows, which commits as rarely and
  has no row of a ledger to write. Tried, and stayed: digests without an iterator for each item (1 to 0.1 µs an item on
  a large heap).
- **Load test: lag.** 1.4 to 1.7 ms at p99 in the rounds of a quiet hour, of which a timer of the event loop may take
  1 ms. Beside others' work 2 ms was kept in none of ten rounds (2.2 to 26 ms, kept from a processor for 2 to 28 % of
  the time), and GENERATOR_BOUND said in each.
- **Load test: what is written down.** 0.22 to 0.65 µs a duration from run to run, as busy as the machine was;
  `record_value()` took about three times as long in each.
- **Load test: the report.** It took 2.7 s at first, in the busiest run. Histograms were decoded again for each form,
  and distributions worked out that were not shown: of the same 33 points, page, Markdown and text took 0.50 s of
  processor time, then 0.19.
- **Load test: drivers beside pgbench.** There is no target. A lookup takes one Python process about 100 µs of a
  processor by dbpool, and 14 without a server, so that 10 clients keep the generator busy before the server, which is
  said; pgbench, in C, does six times as many. `--driver asyncpg` makes a second round trip after each response, for the
  reset that asyncpg's pool promises.
"""


def _method(settings: dict[str, Any]) -> str:
    adaptive, loadtest = settings["adaptive"], settings["loadtest"]
    return f"""\
- `{SQL}` with random ids, on a table of {ROWS:,} rows, in a database made for the run.
  Everybody has {CONNECTIONS} connections, open and warm, and a process of its own, as in a service that has one pool;
  all of them are there at the same time, and do nothing until it is their turn. Where the system happens to put the
  processes can make a third of a difference, so every {ROUNDS_OF_A_PROCESS} rounds all start anew.
- {settings["rounds"]} rounds. In each, every contender makes the same {settings["lookups"]:,} lookups (a quarter of
  them where there is one task), shared evenly among the tasks, one contender after the other; the order changes from
  round to round, so that each has other neighbours. "{OURS} is" is the median of the rounds' ratios, "middle half"
  what is left of those without their lowest and highest quarters.
- "CPU/call" is processor time of the client's process, all its threads, a lookup; pgbench's includes connecting.
  "p99" is the 99th percentile of what one call took, waiting for a connection included: with more tasks than
  connections it is the length of the line, except for bare connections, where nobody waits in one.
- Bare connections have one worker each, as many as there are tasks but at most {CONNECTIONS}: they show what the driver
  can do when nobody has to share. They are as asyncpg makes them. asyncio's own loop allocates 256 KiB for every read,
  two page faults each; {OURS} sets 64 KiB on its own connections. "The same, reading 64 KiB at a time" is bare asyncpg
  with that setting: what {OURS} gains over the first and not over the second is that setting, nothing else. uvloop has
  no such setting.
- The article's listing and `asyncpg.Pool` reset the session after every call, {OURS} only after a statement that is not
  proven to leave it alone. SQLAlchemy begins and ends a transaction around each call, unless it is told AUTOCOMMIT, so
  it is there twice; psycopg has autocommit, and prepares at once.
- pgbench (`-M prepared -c {CONNECTIONS} -j 2`, the same statement and table, five times as many lookups on
  connections of its own) stands for the server's own limit.
- "One task, nobody else there": blocks of 100 calls of each contender in turn; the differences are taken block by
  block, which is why they are not quite those of the medians. {PROCESSES} processes, one after the other; the medians
  of theirs. "Coalesced" is the same pool, asked with `coalesce=True`: nobody waits, so that nothing is to be gained.
- "By a drop-in": the same lookups by `dbpool.create_pool` and `asyncpg.create_pool`, both with asyncpg's defaults but
  for their sizes; by `pool.fetchrow()`, and by `pool.acquire()` with a `fetchrow()` on the connection. Each ratio is
  that of the drop-in over asyncpg's pool used in the same way.
- "By SQLAlchemy Core": `select(users).where(users.c.id == key)`, which the program makes anew for each call, or once
  with a bind, by `db.fetchrow()` and by `engine.connect()` with `execute()` and `first()`; beside them the same lookup
  as SQL text. Both sides compile it once and then find it by SQLAlchemy's cache key; making it takes 20 µs a call, on
  both.
- "By SQLAlchemy's ORM and connections": `session.get(User, key)` in an `AsyncSession` of its own, and
  `connection.execute()` with `first()` in `engine.connect()`, of `dbpool.sqlalchemy.create_engine(db)` and of
  `create_async_engine` with a pool of as many connections. Each is a transaction; with AUTOCOMMIT none is.
- "Lanes": one pool, whose {TARGET_TASKS} tasks call `db.fetchrow()` in one block of {settings["lane_lookups"]:,}
  lookups, and `fetchrow()` of three lanes, one of which has a maximum, in the next. Meanwhile, in the latter,
  `report()` is called every {REPORT_EVERY_S:g} s and something listens to events. {settings["lane_rounds"]} rounds in
  each of {settings["lane_processes"]} processes. `leak_after` is set all the time: it looks at who holds now and then,
  and costs nothing a call.
- "What is written down of each call" is written down in every pool, so that there is none without it to compare with:
  its parts are measured by themselves, on a `Gate` that nobody else uses. Every other figure here includes it.
- "How long {TARGET_TASKS} tasks wait": in a closed loop, `{fairness.SQL}` on {CONNECTIONS} connections.
  {settings["fair_rounds"]} rounds of {settings["fair_s"]:g} s, each in a process of its own, after
  {fairness.WARM_UP_S:g} s that do not count. "To a connection of its own" ends when `acquire()` has one; "to the
  answer" when a one-shot call returns. `gc.freeze()` keeps what was there before out of garbage collections, for every
  pool. The figures are medians of the rounds, but for the worst.
- "map", "coalesced calls": blocks of {settings["together_lookups"]:,} lookups. `map_row` gets all keys in one
  call, with its defaults; the others are as many tasks as the table says, on the same number of connections.
- "Keys at once": `map_row` has all of them in one call, the others {CHUNK:,} at a time, on as many connections as each
  is quickest with: asyncpg on four, psycopg and psqlpy on one. All end with a row for each key, in the keys' order.
- "Ten texts mixed": blocks of {settings["together_lookups"]:,} lookups by key, each of one of ten SELECTs at random.
- "A round trip of": the same by way of a proxy, a process of its own, which lets what comes in go on
  {ONE_WAY_S * 1e3:g} ms later, each way, in order, however much there is. The title says how long `select 1` takes by
  it, alone. Blocks of {settings["far_lookups"]:,} lookups.
- "Memory": what is resident, by psutil, looked at every 1,000 items; the keys come from a generator.
  {settings["streamed_rounds"]} rounds, each in a process of its own; "growth" is from after the warm-up to the peak.
- "Telemetry": one pool, watched by one after the other, the order changing; OpenTelemetry's spans and metrics stay in
  memory until their block is over.
- "A table into a file": everybody's connections are open; {settings["export_rounds"]} rounds after one that does not
  count, one way after the other in each, the order changing. Only a tenth of the rows go through the cursor, and its
  time is multiplied. psycopg writes on the event loop; ADBC, which blocks, has a thread, and pyarrow writes its Parquet
  with the same defaults as for {OURS}. "Loop away" is by how much a task that sleeps for 1 ms at a time
  was late, the longest of a round; the median of the rounds.
- "Updates by key": `{jobs.SQL}` for {settings["job_items"]:,} items in order, in chunks of {jobs.CHUNK}, by
  {jobs.CONNECTIONS} connections; {settings["job_rounds"]} rounds, each in a process of its own, in changing order. Each
  way finds the table as new, vacuumed, after a checkpoint. "Of no ledger" is the median of the rounds' ratios to
  `db.executemany()`, one call a chunk. "Run again": {settings["job_again"]:,} integers, read, compared by digest,
  passed over.
- "A load that changes twice": {adaptive["tasks"]} tasks in a closed loop, {adaptive["phase_s"]:g} s of each kind of
  call without a pause in between; {adaptive["rounds"]} rounds, each contender in a process of its own. A pool with
  `adaptive=True` may use {MOST} connections. "Of best fixed" is its calls of all three phases over those of the fixed
  size that made most, which nobody knows beforehand. "Service" is from a connection in hand to the answer.
  `python -m bench.adaptive` measures this alone, and for longer.
- "Bulk writes": {settings["written_rows"]:,} rows in random order, of which the table has none (insert) or every
  other one (upsert), written by one call on one connection: {OURS} in transactions of its default size, the others in
  one. {settings["write_rounds"]} rounds, each contender in a process of its own, the order changes; the table is made
  anew before each. On asyncpg SQLAlchemy has INSERTs of many VALUES ("insertmanyvalues") only for what has RETURNING,
  and the driver's executemany else. "Keeps the loop" is the longest time for which another task did not have its turn.
- "Rows into an empty table without an index": {settings["load_rows"]:,} rows of four columns, in
  {settings["load_rounds"]} rounds after one that does not count, all of them in one process; the table is emptied
  before each. `psql` reads the same file. psql, psycopg and ADBC connect for each load, and ADBC has a thread. The
  figures of numpy are for the three columns that are no text. "Longest stall" is the most processor time that the
  thread of the event loop took between two turns of another task: what the system gave to others in between is not the
  loader's fault. "Faster than its peer": the median of the rounds' ratios.
- Waiting tasks: counted by tracemalloc, in a fresh process for each figure, on asyncio's loop, with every connection
  held. "Beyond a future" takes away a task that waits for a future and nothing else. Cancelling: from the first
  `cancel()` to the end of the last task, the median of {settings["cancel_repeats"]}.
- "Load test": `dbpool loadtest` as a process with its own worker, as everybody runs it; its figures are those of its
  document. What is written down: {recorder.ROWS:,} transactions of six durations, log-normal around 1 ms, which are
  there already, put into their buckets and taken, beside as many `record_value()`; the median of
  {loadtest["recorder_blocks"]} blocks in turn. Arrivals are Poisson, {loadtest["open_rounds"]} rounds of
  {loadtest["open_s"]:g} s, whose median is judged. "Kept from one": the share of the time in which it could have run
  and others did. Memory: {generating.IN_FLIGHT:,} clients in a closed loop, {loadtest["crowd_s"]:g} s without a server,
  {loadtest["crowd_on_server_s"]:g} s of select-only on {CONNECTIONS} connections. The report is of `run --quick` on an
  embedded server, to which the points, seconds and looks of the other runs here are added; each form is written once,
  in a process that has written none before. In a closed loop: scale {closedloops.SCALE}, `-M prepared`, one worker or
  thread, {loadtest["closed_rounds"]} rounds of {loadtest["closed_s"]:g} s, in random order.
- Import time: the median of {settings["import_runs"]} fresh processes, once Python has compiled the files.
"""
