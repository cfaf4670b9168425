"""Parameters for a driver that wants each in its type, where pgbench sends texts and lets the server read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.values import Held, text_of

Bind: TypeAlias = Callable[[Sequence[Held]], list[object]]
"""Turns a query's parameters into what the driver takes. Raises: ScriptError: one does not fit its type."""

# what the server's boolin() takes
_TRUE: Final = ("1", "on", "t", "tr", "tru", "true", "y", "ye", "yes")
_FALSE: Final = ("0", "of", "off", "f", "fa", "fal", "fals", "false", "n", "no")


def make_bind(types: Sequence[str]) -> Bind:
    """The function for a statement with parameters of *types*.

    Args:
        types: The server's names, as int4; asyncpg has them in ``PreparedStatement.get_parameters()``. A value for a
            type that is no number, boolean or text goes as its text, which needs a codec that takes texts.
    """
    converters = [_CONVERTERS.get(name, text_of) for name in types]

    def bind(values: Sequence[Held]) -> list[object]:
        bound: list[object] = []
        for convert, value in zip(converters, values, strict=True):
            try:
                bound.append(None if value is None else convert(value))
            except (ValueError, InvalidOperation):
                number = len(bound)
                raise ScriptError(
                    f'parameter ${number + 1} of type {types[number]} cannot be "{text_of(value)}"'
                ) from None
        return bound

    return bind


def _integer(value: Held) -> object:
    return value if type(value) is int else int(text_of(value))


def _double(value: Held) -> object:
    return float(text_of(value))  # 15 digits, as with pgbench, also of a double


def _boolean(value: Held) -> object:
    text = text_of(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(text)


_CONVERTERS: Final[dict[str, Callable[[Held], object]]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), _integer),
    **dict.fromkeys(("float4", "float8"), _double),
    "numeric": lambda value: Decimal(text_of(value)),
    "bool": _boolean,
}
