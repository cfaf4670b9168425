"""Whether a column within a statement may have its name from a parameter.

``select $1::int`` makes a column named int4; with a column in the place of $1 its name is that column's. At the top the
names are given back, but within, ``row_to_json`` of it and NATURAL JOIN with it are others without a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.core.sqltext import Kind, Token

_BEGIN_AN_ITEM = frozenset({"ALL", "DISTINCT", "ELSE", "SELECT"})  # CASE has its name from ELSE
_END_A_LIST = frozenset(
    {
        *("EXCEPT", "FETCH", "FOR", "FROM", "GROUP", "HAVING", "INTERSECT", "INTO", "LIMIT", "OFFSET", "ORDER"),
        *("UNION", "WHERE", "WINDOW"),
    }
)
_OPENING, _CLOSING = "([", ")]"


def may_be_named_by_parameter(seen: Sequence[Token]) -> bool:
    """Whether a parameter begins a column without AS in the list of a SELECT within parentheses."""
    in_list = [False]  # for each open parenthesis: whether it is in the list of a SELECT
    for at, token in enumerate(seen):
        if token.text in _OPENING:
            in_list.append(False)
        elif token.text in _CLOSING:
            in_list = in_list[:-1] or [False]
        elif token.keyword == "SELECT":
            in_list[-1] = True
        elif token.keyword in _END_A_LIST and seen[at - 1].keyword != "DISTINCT":  # IS DISTINCT FROM
            in_list[-1] = False
        elif token.kind is Kind.PARAMETER:
            first = _first_of_item(seen, at)
            depth = len(in_list) - 1 - sum(each.text == "(" for each in seen[first:at])
            if depth > 0 and in_list[depth] and _begins(seen[first - 1]) and not _has_as(seen[first:]):
                return True
    return False


def _first_of_item(seen: Sequence[Token], at: int) -> int:
    """Where the expression begins that is only the parameter at *at*, in parentheses or CAST perhaps."""
    while at > 0 and (seen[at - 1].text == "(" or seen[at - 1].keyword == "CAST"):
        at -= 1
    return at


def _begins(before: Token) -> bool:
    return before.text in (",", ")") or before.keyword in _BEGIN_AN_ITEM  # DISTINCT ON (...)


def _has_as(item: Sequence[Token]) -> bool:
    depth = 0
    for token in item:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth < 0 or (depth == 0 and (token.text == "," or token.keyword in _END_A_LIST)):
            return False
        if depth == 0 and token.keyword == "AS":
            return True
    return False
