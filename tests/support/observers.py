"""An observer that writes down what it is told, and notices what never ends or ends twice."""

from __future__ import annotations

from dbpool import DatabasePool
from dbpool.observing import Asked, Operation
from dbpool.waiter import Waiter


class Notebook:
    """All that it was told: what has ended with which error, who waited and who used a connection, in seconds."""

    def __init__(self, db: DatabasePool) -> None:
        self.under_way: list[Operation] = []
        self.ended_with: list[tuple[Asked, type[BaseException] | None]] = []
        self.operations: list[Operation] = []
        self.waits: list[tuple[str, float, bool]] = []
        self.uses: list[tuple[str, float]] = []
        self.remove = db.observing.add(self)

    def begun(self, operation: Operation) -> object:
        self.under_way.append(operation)
        return operation

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:
        assert note is operation
        self.under_way.remove(operation)
        self.operations.append(operation)
        self.ended_with.append((operation.asked, None if error is None else type(error)))

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:
        self.waits.append((waiter.line.name, round(seconds, 6), in_vain))

    def used(self, waiter: Waiter, seconds: float) -> None:
        self.uses.append((waiter.line.name, round(seconds, 6)))
