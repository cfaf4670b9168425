"""``dbpool loadtest compare``: what it prints, and by what it says that a run is worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbpool.loadtest.comparing import compare_runs
from tests.cli.loadtesting import run, told
from tests.support.comparedruns import run_of


def saved(folder: Path, name: str, document: dict[str, Any]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_help_has_an_example_and_the_exit_codes() -> None:
    code, out, _ = told("compare", "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith("Example:  dbpool loadtest compare ") for line in lines)
    assert any(line.startswith("Exit codes: 0 ") for line in lines)


async def test_the_json_has_a_section_for_each_run_after_the_first(tmp_path: Path) -> None:
    documents = [run_of(), run_of(tps=1.3, seed=1), run_of(tps=0.7, seed=2)]
    files = [saved(tmp_path, str(number), each) for number, each in enumerate(documents)]
    code, out, err = await run("compare", *files, "--json")
    assert (code, err) == (4, "")
    found = json.loads(out)
    assert found["exit_code"] == 4
    assert [each["verdict"] for each in found["comparisons"]] == ["better", "worse"]
    assert found["comparisons"][1] == compare_runs(documents[0], documents[2])


def test_a_regression_is_exit_code_4_only_beyond_what_is_allowed(tmp_path: Path) -> None:
    files = saved(tmp_path, "a", run_of()), saved(tmp_path, "b", run_of(tps=0.8, seed=1))
    code, out, _ = told("compare", *files)
    assert code == 4
    assert "REGRESSION" in out
    assert "2 figures are worse by more than 5 %, of 2 loads in both" in out
    assert "sweep, dbpool, pool of 1: tps went from" in out
    code, out, _ = told("compare", *files, "--max-regression", "30%")
    assert code == 0
    assert "REGRESSION" not in out


def test_single_runs_say_that_they_are_too_few(tmp_path: Path) -> None:
    files = saved(tmp_path, "a", run_of(repeats=1)), saved(tmp_path, "b", run_of(repeats=1, ms=2.0))
    code, out, _ = told("compare", *files)
    assert code == 0
    assert "too few repeats to tell" in out
    assert "--repeat 3" in out


def test_markdown_has_one_table_for_each_comparison(tmp_path: Path) -> None:
    files = [saved(tmp_path, name, run_of(seed=number)) for number, name in enumerate(("a|b", "c", "d"))]
    code, out, _ = told("compare", *files, "--markdown")
    assert code == 0
    assert out.count("| load | figure |") == 2
    assert "a\\|b.json against " in out
    assert "| no difference shown |" in out


def test_runs_that_do_not_compare_are_refused_with_what_differs(tmp_path: Path) -> None:
    other = run_of()
    other["workload"]["scale"] = 100
    files = saved(tmp_path, "a", run_of()), saved(tmp_path, "b", other)
    code, out, err = told("compare", *files)
    assert (code, out) == (2, "")
    assert "scale: 20 and 100" in err
    assert len(err.splitlines()) == 1
    code, out, _ = told("compare", *files, "--allow-mismatch")
    assert code == 0
    assert "not the same, compared all the same: scale: 20 and 100" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing argument 'A.json'"),
        (["a.json"], "Missing argument 'B.json...'"),
        (["a.json", "/nowhere/b.json"], "/nowhere/b.json: No such file"),
        (["a.json", "cut.json"], "was cut off"),
        (["a.json", "a.json", "--json", "--markdown"], "give one of them"),
        (["a.json", "a.json", "--max-regression", "lots"], "is not a number"),
    ],
)
def test_arguments_that_mean_nothing_are_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    saved(tmp_path, "a", run_of())
    (tmp_path / "cut.json").write_text(json.dumps(run_of())[:1000])
    here = [str(tmp_path / word) if word in ("a.json", "cut.json") else word for word in words]
    code, out, err = told("compare", *here)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err
