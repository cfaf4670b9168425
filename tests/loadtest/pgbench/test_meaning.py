"""Without these, a table of what pgbench says would be a table of what we believe."""

from __future__ import annotations

import random
import re

import pytest

from dbpool.loadtest.scripts.client import make_cast
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import parse_script
from dbpool.loadtest.scripts.steps import steps
from tests.support.databases import Database
from tests.support.expressions import BAD_VARIABLES, DRAWS, ERRORS, SEED, VALUES, VARIABLES
from tests.support.pgbench import Pgbench
from tests.support.randomexpressions import random_expression
from tests.support.refusals import CONDITIONS, REFUSALS


def debugging(*expressions: str) -> str:
    return "".join(f"\\set v debug({expression})\n" for expression in expressions)


def definitions(variables: dict[str, str]) -> list[str]:
    return [option for name, text in variables.items() for option in ("-D", f"{name}={text}")]


def ours(
    script: str, *, seed: int, clients: int = 1, times: int = 1, defined: dict[str, str] | None = None
) -> list[str]:
    """What our debug() shows; an error ends a client, as it does in pgbench."""
    parsed, said = parse_script(script, name="test.sql"), list[str]()
    for client in make_cast(clients, seed=seed, defined=defined).clients:
        client.say = lambda line: said.append(line.partition("): ")[2])
        for _ in range(times):
            list(steps(parsed, client))
    return said


def test_values_are_pgbenchs(pgbench: Pgbench, database: Database) -> None:
    run = pgbench.run(database.dsn, [debugging(*VALUES)], *definitions(VARIABLES), f"--random-seed={SEED}")
    assert dict(zip(VALUES, run.debugged, strict=True)) == VALUES


@pytest.mark.parametrize("expression", ERRORS)
def test_errors_are_pgbenchs(pgbench: Pgbench, database: Database, expression: str) -> None:
    run = pgbench.run(database.dsn, [debugging(expression)], *definitions(BAD_VARIABLES))
    assert run.returncode != 0
    assert run.error == ERRORS[expression]


def test_draws_are_pgbenchs(pgbench: Pgbench, database: Database) -> None:
    # one thread runs one client after the other as long as there is nothing to wait for
    run = pgbench.run(database.dsn, [debugging(*(text for text, *_ in DRAWS))], "-c", "2", "--random-seed=42")
    first, second = (run.debugged[start : start + len(DRAWS)] for start in (0, len(DRAWS)))
    assert [(text, f"int {one}", f"int {two}") for text, one, two in DRAWS] == [
        (text, one, two) for (text, *_), one, two in zip(DRAWS, first, second, strict=True)
    ]


@pytest.mark.parametrize("seed", [0, 5, (1 << 64) - 1])
def test_a_seed_draws_the_same_in_pgbench_and_here(pgbench: Pgbench, database: Database, seed: int) -> None:
    script = debugging(
        "random(1, 100000 * :scale)",
        "random_zipfian(1, 100000, 1.2)",
        "random_gaussian(1, 100000, 2.5)",
        "random_exponential(1, 100000, 3.3)",
        "permute(random(0, 999999), 1000000)",
        "hash(random(0, 99)) + :random_seed % 2",
        ":client_id",
    )
    run = pgbench.run(database.dsn, [script], "-c", "3", "-t", "50", f"--random-seed={seed}")
    # transactions of the clients take turns there
    assert sorted(run.debugged) == sorted(ours(script, seed=seed, clients=3, times=50))


def test_random_expressions_mean_the_same(pgbench: Pgbench, database: Database) -> None:
    generator, expressions, expected = random.Random(pgbench.version), list[str](), list[str]()
    failing = list[str]()
    while len(expressions) < 1500:
        expression = random_expression(generator, depth=4)
        try:
            expected += ours(debugging(expression), seed=3)
            expressions.append(expression)
        except ScriptError as error:
            if re.search(r"bigint|coerce|zero|overflow for", str(error)):
                failing.append(expression)
    run = pgbench.run(database.dsn, [debugging(*expressions)], "--random-seed=3")
    assert run.error == ""
    assert list(zip(expressions, run.debugged, strict=False)) == list(zip(expressions, expected, strict=True)), (
        run.error
    )
    for expression in failing[:20]:
        assert pgbench.run(database.dsn, [debugging(expression)]).error in why(expression)


def why(expression: str) -> str:
    with pytest.raises(ScriptError) as caught:
        ours(debugging(expression), seed=3)
    return str(caught.value)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.script[:40].strip())
def test_refusals_are_pgbenchs(pgbench: Pgbench, refusal: tuple[str, int, str, str]) -> None:
    script, line, message, marked = refusal
    said = pgbench.refusal(script)
    assert said.error == f"0.sql:{line}: {message}"
    if caret := re.search(r"^( *)\^ error found here$", said.stderr, re.MULTILINE):
        text = script.split("\n")[line - 1]
        start = len(text) if not marked else text.rindex(marked, 0, len(caret[1]) + text.index("\\") + len(marked))
        # it marks the end of what it read, or the start of what it counted; from the backslash on
        assert start <= len(caret[1]) + text.index("\\") <= start + len(marked)


@pytest.mark.parametrize("refusal", CONDITIONS, ids=lambda refusal: refusal.script[:40].strip())
def test_blocks_that_do_not_fit_are_refused_by_pgbench_too(
    pgbench: Pgbench, refusal: tuple[str, int, str, str]
) -> None:
    assert pgbench.refusal(refusal[0]).error.endswith(f": {refusal[2]}")
