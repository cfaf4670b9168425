"""Where statements end: pgbench's report on commands lists what it took for one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from dbpool.loadtest.scripts.script import parse_script
from tests.support.databases import Database
from tests.support.pgbench import Pgbench

PIECES = [
    *("select 1", "a", ":1", "::int", "1.5", "$1", "'x'", "'a;b'", "'it''s;'", "E'\\';'", "U&'\\0061;'", "$$a;$$"),
    *("$q$;$$;$q$", '"a;b"', '"a"";"', "(1; 2)", "((;))", "/* ; */", "/* /* ; */ \\ ' */", "-- ; ' \\\n"),
    *(";", ";", ";", "\\;", "\\:", "begin", "end", "case when 1 then 2 end", "create table", "begin atomic", "*"),
    *("create function f()", "create or replace procedure p()", "\\set x 1 + 2\n", "\\sleep 1 ms\n", "\n", "-", "/"),
]


def statements(lines: Iterable[str]) -> list[str]:
    """The statements' first lines; pgbench takes comments alone for a statement, we do not."""
    return [line.rstrip() for line in lines if not re.fullmatch(r"\s*(/\*.*\*/\s*)+(--.*)?", line)]


def test_random_scripts_are_cut_where_pgbench_cuts_them(pgbench: Pgbench, database: Database) -> None:
    generator = random.Random(pgbench.version)
    # before 18 (or one of the versions before) a joined semicolon in a body made it forget that it was in one
    known = [piece for piece in PIECES if piece != "\\;" or pgbench.version >= 18]
    for _ in range(100):
        pieces = [generator.choice(known) for _ in range(60)]
        # a body left open would swallow what ends the test
        script = " ".join(pieces) + "\nend; end; end; end; end; end;\n"
        wrapped = f"\\if false\n{script}\n\\endif\nselect 1;\n"
        run = pgbench.run(database.dsn, [wrapped], "-r")
        assert run.error == "", wrapped
        listed = re.findall(r"^ +\d+\.\d+ +\d+ +(.*)$", run.stdout, re.MULTILINE)
        theirs = [line for line in listed if not re.match(r"\\(set|sleep|if|endif)", line)]
        ours = [sql.first_line[:127] for sql in parse_script(wrapped, name="test.sql").statements]
        assert statements(ours) == statements(theirs), wrapped
