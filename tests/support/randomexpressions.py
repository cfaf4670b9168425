"""Expressions made at random, most of which have a value."""

from __future__ import annotations

from random import Random

_NUMBERS = ["0", "1", "2", "3", "7", "10", "63", "1000003", "9223372036854775807", "0.5", "2.5", "1e3", ".25", "3."]
_WORDS = ["null", "true", "false"]
_BINARY = ["+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>"]
_COMPARE = ["<", "<=", "=", "<>", "!=", ">=", ">"]
_TESTS = ["is null", "is not null", "isnull", "notnull", "is true", "is not true", "is false", "is not false"]
_UNARY = ["-", "+", "~", "- -", "~ -"]
_FUNCTIONS = ["abs", "double", "int", "least", "greatest", "hash", "mod", "permute", "pow", "sqrt", "ln", "exp"]


def random_expression(random: Random, *, depth: int) -> str:
    """A number, or at times a condition; parentheses are left out where the grammar does without."""
    return _condition(random, depth) if random.random() < 0.3 else _number(random, depth)


def _number(random: Random, depth: int) -> str:
    if depth == 0:
        return random.choice(_NUMBERS if random.random() < 0.97 else _WORDS)
    match random.randrange(8):
        case 0 | 1 | 2:
            return f"{_number(random, depth - 1)} {random.choice(_BINARY)} {_number(random, depth - 1)}"
        case 3:
            return f"({_number(random, depth - 1)})"
        case 4:
            return f"{random.choice(_UNARY)} {_number(random, depth - 1)}"
        case 5:
            branches = f"when {_condition(random, depth - 1)} then {_number(random, depth - 1)}"
            return f"case {branches} else {_number(random, depth - 1)} end"
        case 6:
            function = random.choice(_FUNCTIONS)
            count = 1 if function in ("abs", "double", "int", "sqrt", "ln", "exp") else 2
            return f"{function}({', '.join(_number(random, depth - 1) for _ in range(count))})"
    return random.choice(_NUMBERS)


def _condition(random: Random, depth: int) -> str:
    if depth == 0:
        return random.choice(_WORDS)
    match random.randrange(5):
        case 0:
            return f"{_condition(random, depth - 1)} {random.choice(['and', 'or'])} {_condition(random, depth - 1)}"
        case 1:
            return f"not {_condition(random, depth - 1)}"
        case 2:
            return f"{_condition(random, depth - 1)} {random.choice(_TESTS)}"
        case 3:
            return f"({_condition(random, depth - 1)})"
    return f"{_number(random, depth - 1)} {random.choice(_COMPARE)} {_number(random, depth - 1)}"
