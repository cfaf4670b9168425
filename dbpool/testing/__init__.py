"""For the tests of programs that use dbpool: fixtures for pytest, fakes, faults, explorers. See docs/testing.md."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbpool.testing.cancelling import BrokenBySuspension, Explored, cancel_everywhere
    from dbpool.testing.fake.answers import Answer, Asked, UnexpectedStatement
    from dbpool.testing.fake.pool import FakePool
    from dbpool.testing.fake.records import FakeRecord
    from dbpool.testing.proxying.damage import Damage
    from dbpool.testing.proxying.faults import Fault
    from dbpool.testing.proxying.messages import Do, Message, Way
    from dbpool.testing.proxying.proxy import FaultProxy, proxy_before
    from dbpool.testing.proxying.session import Standing
    from dbpool.testing.replication.cluster import PostgresCluster
    from dbpool.testing.replication.node import PostgresNode
    from dbpool.testing.rollback.pool import Sandbox, sandbox
    from dbpool.testing.schedules import BrokenBySchedule, at_every_step, explore_schedules
    from dbpool.testing.server import Server
    from dbpool.testing.stepping import SteppingLoop
    from dbpool.testing.virtualtime import Deadlock, VirtualTime, VirtualTimeLoop, run, virtual_time

__all__ = [
    "Answer",
    "Asked",
    "BrokenBySchedule",
    "BrokenBySuspension",
    "Damage",
    "Deadlock",
    "Do",
    "Explored",
    "FakePool",
    "FakeRecord",
    "Fault",
    "FaultProxy",
    "Message",
    "PostgresCluster",
    "PostgresNode",
    "Sandbox",
    "Server",
    "Standing",
    "SteppingLoop",
    "UnexpectedStatement",
    "VirtualTime",
    "VirtualTimeLoop",
    "Way",
    "at_every_step",
    "cancel_everywhere",
    "explore_schedules",
    "proxy_before",
    "run",
    "sandbox",
    "virtual_time",
]

# pytest loads the plugin wherever dbpool is installed, so nothing is imported before it is used.
_HOMES = {
    "cancelling": ("BrokenBySuspension", "Explored", "cancel_everywhere"),
    "fake.answers": ("Answer", "Asked", "UnexpectedStatement"),
    "fake.pool": ("FakePool",),
    "fake.records": ("FakeRecord",),
    "proxying.damage": ("Damage",),
    "proxying.faults": ("Fault",),
    "proxying.messages": ("Do", "Message", "Way"),
    "proxying.proxy": ("FaultProxy", "proxy_before"),
    "proxying.session": ("Standing",),
    "replication.cluster": ("PostgresCluster",),
    "replication.node": ("PostgresNode",),
    "rollback.pool": ("Sandbox", "sandbox"),
    "schedules": ("BrokenBySchedule", "at_every_step", "explore_schedules"),
    "server": ("Server",),
    "stepping": ("SteppingLoop",),
    "virtualtime": ("Deadlock", "VirtualTime", "VirtualTimeLoop", "run", "virtual_time"),
}
_LATER = {name: f"dbpool.testing.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'dbpool.testing' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
