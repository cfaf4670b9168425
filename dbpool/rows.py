from typing import Any
def mapper(into: Any, columns: tuple[str, ...]) -> Any:
    return lambda r: into(**dict(r))
