"""Scripts that are refused, with the line, the message and the piece of text that is marked.

Messages and lines are pgbench's, which the tests of pgbench keep true.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """``marked`` is the text above the marks, "" for the line's end."""

    script: str
    line: int
    message: str
    marked: str


REFUSALS: Final = [
    Refusal("\\set x ceil(1)\n", 1, 'unexpected function name (ceil) in command "set"', "ceil"),
    Refusal("\\set x on\n", 1, 'unexpected function name (on) in command "set"', "on"),
    Refusal("  \\SET x 1 < 2 < 3\n", 1, 'syntax error in command "SET"', "<"),
    Refusal("\\set x 1 = 2 <> 3\n", 1, 'syntax error in command "set"', "<>"),
    Refusal("\\set x\n", 1, 'syntax error in command "set"', ""),
    Refusal("\\set x 1 2\n", 1, 'syntax error in command "set"', "2"),
    Refusal("\\set x (1\n", 1, 'syntax error in command "set"', ""),
    Refusal("\\set x 1)\n", 1, 'syntax error in command "set"', ")"),
    Refusal("\\set x 1 is 2\n", 1, 'syntax error in command "set"', "2"),
    Refusal("\\set x 1 is not\n", 1, 'syntax error in command "set"', ""),
    Refusal("\\set x case when 1 then 2\n", 1, 'syntax error in command "set"', ""),
    Refusal("\\set x case 1 end\n", 1, 'syntax error in command "set"', "1"),
    Refusal("\\set x case else 1 end\n", 1, 'syntax error in command "set"', "else"),
    Refusal("\\set x and\n", 1, 'syntax error in command "set"', "and"),
    Refusal("\\set x 1 + * 2\n", 1, 'syntax error in command "set"', "*"),
    Refusal("\\set x abs 1\n", 1, 'syntax error in command "set"', "1"),
    Refusal("\\set x abs(1,)\n", 1, 'syntax error in command "set"', ")"),
    Refusal("\\set x 1 $ 2\n", 1, 'unexpected character ($) in command "set"', "$"),
    Refusal('\\set x "a"\n', 1, 'unexpected character (") in command "set"', '"'),
    Refusal("\\set x :a.b\n", 1, 'unexpected character (.) in command "set"', "."),
    Refusal("\\set x abs(1, 2)\n", 1, 'unexpected number of arguments (abs) in command "set"', ")"),
    Refusal("\\set x pi(1)\n", 1, 'unexpected number of arguments (pi) in command "set"', ")"),
    Refusal("\\set x random(1)\n", 1, 'unexpected number of arguments (random) in command "set"', ")"),
    Refusal("\\set x hash()\n", 1, 'unexpected number of arguments (hash) in command "set"', ")"),
    Refusal("\\set x hash(1, 2, 3)\n", 1, 'unexpected number of arguments (hash) in command "set"', ")"),
    Refusal("\\set x permute(1)\n", 1, 'unexpected number of arguments (permute) in command "set"', ")"),
    Refusal("\\set x least()\n", 1, 'at least one argument expected (least) in command "set"', ")"),
    Refusal(
        "\\set x 99999999999999999999\n",
        1,
        'bigint constant overflow (99999999999999999999) in command "set"',
        "99999999999999999999",
    ),
    Refusal("\\set x 1e999\n", 1, 'double constant overflow (1e999) in command "set"', "1e999"),
    Refusal("\\if\nselect 1;\n\\endif\n", 1, 'syntax error in command "if"', ""),
    Refusal("select 1;\n\n\\set y 1\n\\set x 1 +\n", 4, 'syntax error in command "set"', ""),
    Refusal("\\set\n", 1, 'missing argument in command "set"', "set"),
    Refusal("select 1;\n\\foo bar\n", 2, 'invalid command in command "foo"', "foo"),
    Refusal("select 'a\nb';\n\\foo\n", 3, 'invalid command in command "foo"', "foo"),
    Refusal("\\sleep\n", 1, 'missing argument in command "sleep"', "sleep"),
    Refusal("\\sleep abc\n", 1, 'invalid sleep time, must be an integer (abc) in command "sleep"', "abc"),
    Refusal("\\sleep 5ms s\n", 1, 'invalid sleep time, must be an integer (5ms) in command "sleep"', "5ms"),
    Refusal("\\sleep 1 hours\n", 1, 'unrecognized time unit, must be us, ms or s (hours) in command "sleep"', "hours"),
    Refusal("\\sleep 1h\n", 1, 'unrecognized time unit, must be us, ms or s (h) in command "sleep"', "h"),
    Refusal("\\sleep :n hours\n", 1, 'unrecognized time unit, must be us, ms or s (hours) in command "sleep"', "hours"),
    Refusal("\\sleep 1 us x\n", 1, 'too many arguments in command "sleep"', "x"),
    Refusal("\\if 1\n\\else 1\n\\endif\n", 2, 'unexpected argument in command "else"', "1"),
    Refusal("\\if 1\n\\endif 1\n", 2, 'unexpected argument in command "endif"', "1"),
    Refusal("select 1 \\gset a b\n", 1, 'too many arguments in command "gset"', "b"),
]

CONDITIONS: Final = [
    Refusal("select 1;\n\\if 1\n", 2, "\\if without matching \\endif", "\\if 1"),
    Refusal("\\else\n", 1, "\\else without matching \\if", "\\else"),
    Refusal("\\elif 1\n", 1, "\\elif without matching \\if", "\\elif 1"),
    Refusal("\\endif\n", 1, "\\endif without matching \\if", "\\endif"),
    Refusal("\\if 1\n\\else\n\\else\n\\endif\n", 3, "\\else after \\else", "\\else"),
    Refusal("\\if 1\n\\else\n\\elif 1\n\\endif\n", 3, "\\elif after \\else", "\\elif 1"),
    Refusal("\\if 1\n\\if 1\n\\endif\n", 1, "\\if without matching \\endif", "\\if 1"),
]
"""Here pgbench names no line, only the command's number."""

OURS: Final = [
    Refusal("\\set 1x 1\n", 1, 'invalid variable name "1x" in command "set"', "1x"),
    Refusal(
        "\\set x least(" + "1, " * 16 + "1)\n",
        1,
        'too many function arguments, maximum is 16 (least) in command "set"',
        ")",
    ),
    Refusal(
        "\\set x 9223372036854775808\n",
        1,
        'bigint constant overflow (9223372036854775808) in command "set"',
        "9223372036854775808",
    ),
    Refusal(f"\\set x {'9' * 5000}\n", 1, f'bigint constant overflow ({"9" * 5000}) in command "set"', "9" * 5000),
    Refusal(f"\\set x {'(' * 5000}1{')' * 5000}\n", 1, 'an expression is nested too deeply in command "set"', "set"),
    Refusal(f"\\set x 1{' + 1' * 5000}\n", 1, 'an expression is nested too deeply in command "set"', "set"),
    Refusal("\\gset\n", 1, "\\gset must follow an SQL command", "\\gset"),
    Refusal("\\set x 1\n\\aset\n", 2, "\\aset must follow an SQL command", "\\aset"),
    Refusal("\\if 1\nselect 1;\n\\endif\n\\gset\n", 4, "\\gset must follow an SQL command", "\\gset"),
    Refusal("\\if 1\nselect 1;\n\\else\n\\gset\n\\endif\n", 4, "\\gset must follow an SQL command", "\\gset"),
    Refusal("select 1 \\gset\n\\gset x_\n", 2, "\\gset must follow an SQL command", "\\gset x_"),
    Refusal(
        "select 1\\; select 2 \\gset\n",
        1,
        "\\gset is not supported after statements joined by \\; because the driver gives no result of theirs",
        "\\gset",
    ),
    Refusal(
        "\\shell ls\n",
        1,
        '\\shell is not supported, because a load test starts no programs in command "shell"',
        "shell",
    ),
    Refusal(
        "\\setshell x ls\n",
        1,
        '\\setshell is not supported, because a load test starts no programs in command "setshell"',
        "setshell",
    ),
    *(
        Refusal(
            f"select 1;\n\\{name}\n",
            2,
            f'\\{name} is not supported, because a client waits for each statement\'s result in command "{name}"',
            name,
        )
        for name in ("startpipeline", "syncpipeline", "endpipeline")
    ),
    Refusal("select 1;\nselect 'a;\n\\set x 1\n", 2, "this quote or comment has no end", "'"),
    Refusal("\\set x 1\n/* a /* b */\n", 2, "this quote or comment has no end", "/"),
    Refusal("select " + ", ".join([":x"] * 256) + ";\n", 1, "statement has too many arguments (maximum is 255)", "s"),
    Refusal("\\set x 1 \\\n  + \\\n  ceil(1)\n", 3, 'unexpected function name (ceil) in command "set"', "ceil"),
]
"""What pgbench refuses later, or not at all, or with another line."""
