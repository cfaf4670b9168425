"""What the commands print with --json is what the published schema says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dbpool.loadtest.schema.checking import flaw_of
from dbpool.loadtest.schema.published import document_schema, line_schema
from tests.cli.loadtesting import QUICK, told
from tests.support.databases import Database

CLOSED = (*QUICK, "-j", "2", "--driver", "dbpool", "--driver", "noop", "--driver", "asyncpg-connect")
OPEN = ("-T", "1.2", "--warmup", "0", "-R", "200", "-L", "1", "--max-inflight", "5", "--timeout", "3")
FAILING = ("-T", "0.2", "--warmup", "0", "-c", "2")
SHORT = ("-T", "0.5", "--warmup", "0", "--force")
STAGES = [
    ("overload", *SHORT, "--pool-size", "2"),
    ("soak", *SHORT, "--pool-size", "2", "--minutes", "0.02"),
    ("fleet", *SHORT, "--pool-size", "2"),
]
SWEEP = ("sweep", "-T", "0.5", "--warmup", "0", "--pool-size", "1,2", "--repeat", "2", "--driver", "asyncpg")


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (("bench", *CLOSED), "select 1", 0),
        (
            ("bench", *OPEN, "--threshold", "response_ms:p(99)<1", "--threshold", "dropped_rate<0"),
            "select pg_sleep(0.002)",
            3,
        ),
        (("bench", *FAILING), "select 1 / 0", 1),
        *(pytest.param(words, "select pg_sleep(0.001)", 0, marks=pytest.mark.slow) for words in (SWEEP, *STAGES)),
    ],
    ids=["closed", "open", "failing", "sweep", *(stage[0] for stage in STAGES)],
)
def test_a_run_is_a_document_and_its_time_line_has_its_lines(
    database: Database, tmp_path: Path, words: tuple[str, ...], text: str, code: int
) -> None:
    script = tmp_path / "script.sql"
    script.write_text(text)
    line = tmp_path / "line.ndjson"
    outputs = ("--json", "--timeseries", str(line))
    returned, out, err = told(*words, "-f", str(script), *outputs, dsn=database.dsn)
    assert returned == code, err
    document = json.loads(out)
    errors = Draft202012Validator(document_schema()).iter_errors(document)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []
    assert flaw_of(document) is None
    written = [json.loads(each) for each in line.read_text().splitlines()]
    wrong = [f"{each['type']}: {error.message}" for each in written for error in _line(each["type"]).iter_errors(each)]
    assert wrong == []
    assert [written[0]["type"], written[-1]["type"]] == ["meta", "summary"]
    assert [each["id"] for each in written if each["type"] == "point"] == [each["id"] for each in document["points"]]


@cache
def _line(kind: str) -> Draft202012Validator:
    """The schema of one type, whose errors say more than that a line is none of all."""
    schema = line_schema()
    assert {"$ref": f"#/$defs/{kind}_line"} in schema["$defs"]["line"]["oneOf"]
    return Draft202012Validator(schema | {"$ref": f"#/$defs/{kind}_line"})
