"""Ends a run early whose thresholds are missed second after second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbpool.core.loadtest.thresholds import Patience, Threshold, judge
from dbpool.loadtest.load import Load
from dbpool.loadtest.metrics import measured_in_second
from dbpool.loadtest.recording.tally import Tally


class Abort:
    """Told of each second, it calls *stop* with the threshold that two seconds in a row missed; once.

    A second in which too little happened to tell is no miss.
    """

    def __init__(self, thresholds: Sequence[Threshold], stop: Callable[[Threshold], None]) -> None:
        self._patience = {threshold: Patience() for threshold in thresholds}
        self._stop = stop
        self._is_over = False

    def take(self, load: Load, tally: Tally) -> None:
        """A second of the window of *load* is over, that brought *tally*."""
        for threshold, patience in self._patience.items():
            judgement = judge(threshold, measured_in_second(load, tally))
            is_met = judgement.is_met or judgement.value is None
            if patience.is_over(is_met=is_met) and not self._is_over:
                self._is_over = True
                self._stop(threshold)
