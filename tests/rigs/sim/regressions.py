"""Seeds that broke something once, or break with a planted bug: each is a test by the name that it has here.

One more line makes a failing seed a test. A seed means another schedule once what is drawn from it has changed, so the
line goes in with the mending, and a mutant of the bug keeps what it stands for.
"""

from __future__ import annotations

from typing import Final

REGRESSIONS: Final[dict[str, int]] = {
    "cancelled in the instant of the grant": 3,
    "cancelled while its connection is reset": 31,
    "connections handed on just after a cancellation": 28,
    "granted just before its deadline": 43,
    "granted after its cancellation, while the loop was blocked beyond its deadline": 7033865,
    "a time limit met while the loop was blocked by what is driven by hand": 7001304,
    "a long outage": 50,
    "state left in a session": 78,
    "a pool made larger with callers in line": 81,
    "a pause for which a connect has ended, and is not yet counted as ended": 2026127395,
    "resumed while a pause was about to close what idles": 2045115917,
    "made smaller while a caller is about to take what idles": 2043125664,
    "one failed connect long ago, and several callers at once": 2026125061,
    "the line takes most of a caller's time, the connect the rest": 101,
}
