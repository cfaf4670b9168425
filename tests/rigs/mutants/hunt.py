"""One rig's hunt for the bug that is planted in this process: ``python -m tests.rigs.mutants.hunt RIG BUDGET``.

BUDGET: schedules for ``sim``, seconds for any other rig. What was found goes to stdout as JSON, in a line of its own.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from tests.rigs.findings import Findings
from tests.rigs.sim.run import explore

SEED = 1


def main(rig: str, budget: float) -> Findings:
    if rig == "sim":
        return explore(SEED, _silent, schedules=int(budget), most_violations=1)
    found: Findings = import_module(f"tests.rigs.{rig}.run").run(budget, SEED, _silent)
    return found


def _silent(_: str) -> None:
    pass


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(sys.argv[1], float(sys.argv[2])).as_plain()) + "\n")
