from __future__ import annotations

import importlib
import random
from typing import Any

from dbpool.core.functions import PURE_FUNCTIONS
from dbpool.core.sqltext import tokens
from dbpool.core.statements import classify
from tests.support.statements import HARMLESS, HOSTILE

# Not a plain import: the type stubs that postgast 0.2 ships are no valid Python, and mypy stops at them
postgast = importlib.import_module("postgast")
nodes = importlib.import_module("postgast.pg_query_pb2")

TEXTS = [[token.text for token in tokens(sql)] for sql in [*HARMLESS, *HOSTILE]]
FRAGMENTS = [fragment for text in TEXTS for fragment in text]
SYNTAX = """
as with ordinality recursive materialized not over filter columns passing conflict on do nothing update set insert into
merge then when values overriding group by cube rollup grouping sets distinct join lateral from select where returning
within order partition window table tablesample operator treat cast for row json_table interval numeric search cycle
"""
WORDS = SYNTAX.split()
# Calls that the parser puts in place of: a like b escape c, a similar to b
MADE_BY_SYNTAX = {"like_escape", "similar_to_escape"}


def changed(text: list[str], seeded: random.Random) -> list[str]:
    text, at = list(text), seeded.randrange(len(text) + 1)
    other, start = seeded.choice(TEXTS), seeded.randrange(5)
    at_random = [
        [seeded.choice(FRAGMENTS)],
        [seeded.choice(WORDS)],
        ["leak", "(", "1", ")"],
        [seeded.choice(WORDS), "(", "1", ")"],
        other[start : start + seeded.randint(1, 12)],
    ]
    text[at : at + seeded.randrange(2)] = seeded.choice(at_random)
    return text


def what_the_parser_sees(tree: Any) -> set[str]:  # noqa: ANN401 - no usable types, see above
    """What may not be in a statement that keeps the session."""
    seen = {
        ".".join(part.string.sval for part in call.funcname)
        for call in postgast.find_nodes(tree, nodes.FuncCall)
        if call.funcformat != nodes.COERCE_SQL_SYNTAX
    }
    seen = {name for name in seen if name.removeprefix("pg_catalog.") not in PURE_FUNCTIONS | MADE_BY_SYNTAX}
    seen |= {"into" for query in postgast.find_nodes(tree, nodes.SelectStmt) if query.HasField("into_clause")}
    return seen | {node for statement in tree.stmts if (node := statement.stmt.WhichOneof("node")) not in STATEMENTS}


STATEMENTS = {"select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"}


def test_in_no_text_that_keeps_the_session_does_postgresqls_own_parser_see_an_unknown_call() -> None:
    seeded = random.Random(7)
    parsed, compared = list(TEXTS), 0
    while compared < 1_000:
        text = changed(seeded.choice(parsed), seeded)
        sql = " ".join(text)
        if len(text) > 100 or not classify(sql).keeps_session:
            continue
        try:
            tree = postgast.parse(sql)
        except postgast.PgQueryError:
            continue  # what the server refuses has no effect
        assert not what_the_parser_sees(tree), sql
        parsed.append(text)
        compared += 1
