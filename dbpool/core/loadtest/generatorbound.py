"""Whether a measurement says more about the generator than about the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbpool.core.histogram import Histogram, is_enough

MOST_CPU: Final = 0.9  # of one processor, which one event loop can use: Locust warns at the same share
MOST_OF_CEILING: Final = 0.7  # beyond that, queueing inside the generator is part of what is measured
MOST_STARVED: Final = 0.2  # of the time
LEAST_LAG_MS: Final = 2.0  # a timer of the event loop is up to 1 ms late anyway
LAG_SHARE: Final = 0.1  # of the response, where transactions are due at fixed times: their lag is part of it
# In a closed load a late event loop delays each client's next transaction by as much on average: from half of the
# response on, a third of the clients are in the generator rather than at the server.
LOOP_LAG_SHARE: Final = 0.5
JUDGED_AT: Final = (0.99, 0.9)


def reasons_for(
    *,
    cpu: float | None,
    lag: Histogram,
    loop_lag: Histogram,
    response: Histogram,
    tps: float,
    ceiling_tps: float | None,
    starved: float | None = None,
) -> Iterator[str]:
    """Why a point cannot be trusted to show the server's limit; nothing if it can. None: not known, so no reason.

    Args:
        cpu: of the busiest worker, 1.0 is one processor.
        lag: how late transactions began that were due, in ns; empty for a closed load. It is judged at p99, or at p90
            where there are too few for that.
        loop_lag: how late the event loop was, in ns. It is judged for a closed load, by its mean.
        response: of the transactions, in ns.
        starved: share of the time in which the generator could have run and others did, but for the server itself.
        ceiling_tps: what the same workers did without a server.
    """
    if cpu is not None and cpu > MOST_CPU:
        yield f"a worker used {cpu:.0%} of a processor (limit {MOST_CPU:.0%}): add workers (-j)"
    if starved is not None and starved > MOST_STARVED:
        yield f"others used the generator's processors for {starved:.0%} of the time (limit {MOST_STARVED:.0%})"
    share = next((share for share in JUDGED_AT if is_enough(lag.n, share)), None)
    if share is not None:
        late_ms, most_ms = _ms(lag, share), max(LEAST_LAG_MS, LAG_SHARE * _ms(response, share))
        if late_ms > most_ms:
            yield f"the generator was {late_ms:.1f} ms late at p{share * 100:g} (limit {most_ms:.1f} ms)"
    if not lag.n and loop_lag.mean is not None:
        late_ms, most_ms = loop_lag.mean / 1e6, max(LEAST_LAG_MS, LOOP_LAG_SHARE * (response.mean or 0) / 1e6)
        if late_ms > most_ms:
            yield f"the generator's event loop was {late_ms:.1f} ms late on average (limit {most_ms:.1f} ms)"
    if ceiling_tps and tps > MOST_OF_CEILING * ceiling_tps:
        yield (
            f"{tps:,.0f} transactions a second are {tps / ceiling_tps:.0%} of the {ceiling_tps:,.0f} that the workers "
            f"do without a server (limit {MOST_OF_CEILING:.0%})"
        )


def _ms(durations: Histogram, share: float) -> float:
    return (durations.quantile(share) or 0) / 1e6
