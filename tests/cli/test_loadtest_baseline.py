"""``--baseline``: a run is measured against an earlier one, or says why it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dbpool.loadtest.schema.published import document_schema
from tests.cli.loadtesting import measured, measured_here, run, script, told
from tests.support.databases import Database
from tests.support.server import Server

Json = dict[str, Any]
pytestmark = pytest.mark.timeout(150)
WORDS = ("-T", "0.5", "--warmup", "0", "-c", "2", "--repeat", "3", "-P", "0")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*WORDS, "-f", script(tmp_path_factory.mktemp("load"), "select pg_sleep(0.005)")]


@pytest.fixture(scope="module")
def before(server: Server, words: list[str]) -> Json:
    """A run, measured once."""

    return measured_here(*words, dsn=server.admin)


def changed(document: Json, folder: Path, change: Callable[[Json], object]) -> str:
    """A baseline: *document*, but for a *change*."""
    baseline = json.loads(json.dumps(document))
    change(baseline)
    path = folder / "baseline.json"
    path.write_text(json.dumps(baseline))
    return str(path)


def times(factor: float) -> Callable[[Json], object]:
    """Throughput of the baseline, so many times as it was, and the same in each repeat."""

    def change(document: Json) -> None:
        mean = document["points"][0]["tps"]["mean"]
        for point in document["points"]:
            point["tps"]["mean"] = factor * mean

    return change


@pytest.mark.slow
async def test_a_run_that_is_worse_than_its_baseline_is_exit_code_4(
    database: Database, tmp_path: Path, words: list[str], before: Json
) -> None:
    document = await measured(*words, "--baseline", changed(before, tmp_path, times(10)), dsn=database.dsn, code=4)
    errors = Draft202012Validator(document_schema()).iter_errors(document)
    assert [error.message for error in errors] == []
    assert [text for text in document["comparison"]["regressions"] if ": tps went from" in text]
    better = changed(before, tmp_path, times(0.1))
    code, out, _ = await run("bench", *words, "--baseline", better, "--max-regression", "99%", dsn=database.dsn)
    assert code == 0
    assert "Compared with the baseline" in out


@pytest.mark.slow
def test_a_baseline_of_another_workload_is_refused_before_anything_is_loaded(
    database: Database, tmp_path: Path, words: list[str], before: Json
) -> None:
    other = changed(before, tmp_path, lambda run: run["workload"].update(scale=7))
    code, out, err = told("bench", *words, "-T", "600", "--baseline", other, dsn=database.dsn)
    assert (code, out) == (2, "")
    assert "scale: 7 and 1" in err


@pytest.mark.slow
def test_a_baseline_that_has_no_load_in_common_leaves_the_run_and_is_exit_code_2(
    database: Database, tmp_path: Path, words: list[str], before: Json
) -> None:
    other = changed(before, tmp_path, lambda run: [point.update(driver="noop") for point in run["points"]])
    document = measured_here(*words, "--baseline", other, dsn=database.dsn, code=2)
    assert document["comparison"] is None
    assert document["run"]["status"] == "complete"
    assert {"not_compared"} == {each["code"] for each in document["warnings"]} & {"not_compared"}


def test_a_baseline_that_is_no_run_is_exit_code_2(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("{}")
    code, out, err = told("bench", *words, "--baseline", str(path))
    assert (code, out) == (2, "")
    assert "no run of dbpool loadtest" in err
