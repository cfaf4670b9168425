"""Tables to export, and what the server itself would have written of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

from tests.support.pools import Witness

PAGE = 8192

MIXED = """
create table mixed (id int primary key, name text, amount numeric(10, 2), at timestamptz, raw bytea, doc json);
insert into mixed
select n, case n % 4 when 0 then null when 1 then '' when 2 then E'two\\nlines, "quoted"' else 'name ' || n end,
    n / 4.0, '2024-02-29 12:00+00'::timestamptz + n * interval '1 second', decode(md5(n::text), 'hex'),
    E'{"a":\\r\\n [1, "x\\\\n\\u00e9"]}'
from generate_series(1, 2000) as n
"""

# 24 MB: more than an export keeps in memory before it waits for a target that is not ready
LARGE = """
create table large (id int, filler text);
alter table large alter column filler set storage plain;
insert into large select n, repeat('x', 1500) from generate_series(1, 16000) as n
"""


async def servers_own(witness: Witness, table: str, written: Literal["csv", "binary"]) -> bytes:
    """The table by one COPY TO, in the order of its pages."""
    file = io.BytesIO()
    header = True if written == "csv" else None
    await witness.connection.copy_from_table(table, output=file, format=written, header=header)
    return file.getvalue()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
