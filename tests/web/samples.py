"""A pool's numbers, and one who holds a connection of it."""

from dbpool.report import Caller
from dbpool.stats import PoolStats

CALM = PoolStats(
    name="shop", capacity=5, limit=5, held=2, idle=3, waiting=0, opening=0, connections=5, zombies=0, oldest_wait_s=0.0,
    granted_total=100, waited_total=0, waited_s_total=0.0, timeouts_total=0, refused_total=0, handed_on_total=0,
    coalesced_total=0, batches_total=0, resets_total=0, discarded_total=0, connects_total=5, connect_failures_total=0,
    last_connect_error=None, lanes={},
)  # fmt: skip
HOLDER = Caller("web", "request 1", "app/orders.py:41 in place", 75.0, "select 1", True, "", ())
