"""Expressions: from tokens to a tree, with the precedence of pgbench's grammar."""

from __future__ import annotations

from math import isinf
from typing import Final

from dbpool.loadtest.scripts.expression import Call, Constant, Expression, Variable
from dbpool.loadtest.scripts.functions import ARGUMENTS, MAX_ARGUMENTS, SEEDED
from dbpool.loadtest.scripts.lexing import Kind, Token, tokens
from dbpool.loadtest.scripts.problems import ScriptError, Source
from dbpool.loadtest.scripts.values import MIN_INTEGER, to_64_bits

# from the loosest to the tightest; operators of one level go from left to right
_OR, _AND, _NOT, _IS, _COMPARE, _BITS, _ADD, _MULTIPLY, _SIGN = range(9)
_BINARY: Final = {
    "OR": _OR,
    "AND": _AND,
    **dict.fromkeys(("<", ">", "=", "<=", ">=", "<>", "!="), _COMPARE),
    **dict.fromkeys(("|", "#", "&", "<<", ">>"), _BITS),
    **dict.fromkeys(("+", "-"), _ADD),
    **dict.fromkeys(("*", "/", "%"), _MULTIPLY),
}
_POSTFIX: Final = ("IS", "ISNULL", "NOTNULL")
_KEYWORDS: Final = {*_POSTFIX, "OR", "AND", "NOT", "NULL", "TRUE", "FALSE", "CASE", "WHEN", "THEN", "ELSE", "END"}
_CONSTANTS: Final = {"NULL": Constant(None), "TRUE": Constant(True), "FALSE": Constant(False)}


def parse_expression(source: Source, position: int, *, command: str) -> Expression:
    """The expression from *position* to the end of the backslash command *command*.

    Raises: ScriptError.
    """
    parser = _Parser(source, position, command)
    expression = parser.expression(_OR)
    if parser.token.kind is not Kind.END:
        raise parser.error("syntax error")
    return expression


class _Parser:
    """Precedence climbing; ``token`` is the one not yet taken."""

    def __init__(self, source: Source, position: int, command: str) -> None:
        self._source, self._command = source, command
        self._tokens = tokens(source, position, command)
        self.token = next(self._tokens)

    def error(self, message: str, token: Token | None = None) -> ScriptError:
        token = token or self.token
        return self._source.error(message, start=token.start, end=token.end, command=self._command)

    def expression(self, loosest: int) -> Expression:
        """As much as operators of level *loosest* and tighter ones hold together."""
        left = self._operand()
        while True:
            operator = self.token.text if self.token.kind in (Kind.SYMBOL, Kind.WORD) else ""
            if operator in _POSTFIX and loosest <= _IS:
                left = self._tested(left, self._take().text)
                continue
            level = _BINARY.get(operator, -1)
            if level < loosest:
                return left
            self._take()
            left = _binary(operator, left, self.expression(level + 1))
            if level == _COMPARE and _BINARY.get(self.token.text) == _COMPARE:
                raise self.error("syntax error")  # 1 < 2 < 3 says nothing

    def _operand(self) -> Expression:
        token = self._take()
        match token.kind, token.text:
            case ((Kind.INTEGER | Kind.DOUBLE), _):
                return self._number(token)
            case Kind.VARIABLE, name:
                return Variable(name)
            case Kind.SYMBOL, "(":
                inner = self.expression(_OR)
                self._expect(")")
                return inner
            case Kind.SYMBOL, "+":
                return self.expression(_SIGN)
            case Kind.SYMBOL, "-":
                return self._negative()
            case Kind.SYMBOL, "~":
                return Call("#", (Constant(-1), self.expression(_BITS + 1)))
            case Kind.WORD, "NOT":
                return Call("NOT", (self.expression(_NOT),))
            case Kind.WORD, "CASE":
                return self._case()
            case Kind.WORD, ("NULL" | "TRUE" | "FALSE") as name:
                return _CONSTANTS[name]
            case Kind.WORD, name if name not in _KEYWORDS:
                return self._call(token)
        raise self.error("syntax error", token)

    def _number(self, token: Token) -> Expression:
        if token.kind is Kind.INTEGER:
            integer = to_64_bits(token.text)
            if integer is None:
                raise self.error(f"bigint constant overflow ({token.text})", token)
            return Constant(integer)
        if isinf(double := float(token.text)):
            raise self.error(f"double constant overflow ({token.text})", token)
        return Constant(double)

    def _negative(self) -> Expression:
        token = self.token
        if token.kind is Kind.INTEGER and to_64_bits("-" + token.text) == MIN_INTEGER:
            self._take()
            return Constant(MIN_INTEGER)
        return Call("-", (Constant(0), self.expression(_SIGN)))

    def _tested(self, left: Expression, operator: str) -> Expression:
        """What follows IS, ISNULL or NOTNULL."""
        negated, wanted = operator == "NOTNULL", "NULL"
        if operator == "IS":
            negated = self._took("NOT")
            wanted = self.token.text if self.token.kind is Kind.WORD else ""
            if wanted not in _CONSTANTS:
                raise self.error("syntax error")
            self._take()
        test = Call("IS", (left, _CONSTANTS[wanted]))
        return Call("NOT", (test,)) if negated else test

    def _case(self) -> Expression:
        arguments: list[Expression] = []
        self._expect("WHEN")
        while True:
            arguments.append(self.expression(_OR))
            self._expect("THEN")
            arguments.append(self.expression(_OR))
            if not self._took("WHEN"):
                break
        arguments.append(self.expression(_OR) if self._took("ELSE") else _CONSTANTS["NULL"])
        self._expect("END")
        return Call("CASE", tuple(arguments))

    def _call(self, name: Token) -> Expression:
        function = name.text.lower()
        expected = ARGUMENTS.get(function)
        if expected is None:
            raise self.error(f"unexpected function name ({self._source.text[name.start : name.end]})", name)
        self._expect("(")
        arguments: list[Expression] = []
        closing = self.token
        if not self._took(")"):
            arguments.append(self.expression(_OR))
            while self._took(","):
                arguments.append(self.expression(_OR))
            closing = self.token
            self._expect(")")
        if len(arguments) not in expected:
            raise self.error(f"{_wrong_number(len(arguments), expected)} ({function})", closing)
        if function in SEEDED and len(arguments) < expected[-1]:
            arguments.append(Variable("default_seed"))
        return Call(function, tuple(arguments))

    def _take(self) -> Token:
        token = self.token
        if token.kind is not Kind.END:
            self.token = next(self._tokens)
        return token

    def _took(self, text: str) -> bool:
        if self.token.text != text or self.token.kind not in (Kind.SYMBOL, Kind.WORD):
            return False
        self._take()
        return True

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise self.error("syntax error")


def _wrong_number(count: int, expected: range) -> str:
    if len(expected) < MAX_ARGUMENTS:
        return "unexpected number of arguments"
    return f"too many function arguments, maximum is {MAX_ARGUMENTS}" if count else "at least one argument expected"


def _binary(operator: str, left: Expression, right: Expression) -> Expression:
    if operator in (">", ">="):
        return Call("<" + operator[1:], (right, left))
    return Call({"%": "mod", "!=": "<>"}.get(operator, operator), (left, right))
