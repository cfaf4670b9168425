"""Whether a form that looked best is best: tried beside the next one where items turn out slow."""

from __future__ import annotations

from dbpool.core.batches import ARRAYS, Form

SLOW_S = 0.0002  # an item; a point lookup in a batch takes 5 us, alone 100
ENOUGH = 32  # items in a batch that is to be judged
FACTOR = 2.0


class FormTrial:
    """The form for each next batch of a statement: *form*, unless one over arrays is slow and MANY twice as fast."""

    __slots__ = ("_may_try", "_slow_s", "form", "is_trying")

    def __init__(self, form: Form, *, has_many: bool) -> None:
        self.form = form
        self.is_trying = False
        self._may_try = has_many and form in ARRAYS
        self._slow_s = 0.0

    def next(self) -> Form:
        return Form.MANY if self.is_trying else self.form

    def learn(self, form: Form, items: int, seconds: float) -> None:
        """A batch of *items*, all of which went well, took so long."""
        if not self._may_try or items < ENOUGH:
            return
        each_s = seconds / items
        if form is self.form and not self.is_trying and each_s > SLOW_S:
            self.is_trying, self._slow_s = True, each_s
        elif form is Form.MANY and self.is_trying:
            self.is_trying = self._may_try = False
            if each_s * FACTOR < self._slow_s:
                self.form = Form.MANY
