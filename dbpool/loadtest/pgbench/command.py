"""From a load to the command line that has pgbench do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from dbpool.core.arrivals import Arrival
from dbpool.dsn import Dsn
from dbpool.errors import SettingsError
from dbpool.loadtest.load import TIMEOUT_S, Load, Target, Workload
from dbpool.tls import Tls


@dataclass(frozen=True, slots=True)
class Command:
    """Words for the program, and what its environment must have: what others may see holds no password."""

    words: Sequence[str]
    environment: Mapping[str, str]


def clients_of(target: Target, load: Load) -> int:
    """Each client has a connection of its own."""
    return target.connections if load.is_open else load.clients


def check(target: Target, load: Load, workload: Workload) -> None:
    """Refuse what pgbench cannot do.

    Raises:
        SettingsError: in a sentence.
    """
    for refusal, is_asked in (
        ("runs scripts only, no module:function", any(part.target is not None for part in workload.parts)),
        (
            "gives each client a connection: --pool-size must be --clients",
            clients_of(target, load) != target.connections,
        ),
        ("opens all its connections first", target.first_connections != target.connections),
        ("has no gate", target.gate is not None),
        ("ends no transaction that takes long: leave --timeout out", load.timeout_s != TIMEOUT_S),
        ("knows one rate, and no stages or ramps", load.is_open and not _is_level(load)),
        ("has all its clients from the begin", bool(load.client_stages)),
        ("has Poisson arrivals only", load.is_open and load.arrival is not Arrival.POISSON),
        ("skips what is later than the latency limit", load.skip_after_s not in (None, load.limit_s)),
    ):
        if is_asked:
            raise SettingsError(f"pgbench {refusal}")


def _is_level(load: Load) -> bool:
    return len({level for stage in load.whole for level in (stage.start, stage.end)}) == 1


def command_of(
    program: str, target: Target, load: Load, workload: Workload, *, threads: int, files: Sequence[Path], log: Path
) -> Command:
    """The command line for a load that ``check`` lets pass.

    Args:
        files: of the workload's scripts.
        log: what the names of its log files begin with.
    """
    words = [program, "--no-vacuum", "--log", f"--log-prefix={log}", "--progress=1", "--progress-timestamp"]
    words += ["--failures-detailed", f"--client={clients_of(target, load)}", f"--jobs={threads}"]
    words += [f"--time={ceil(load.warmup_s + load.time_s)}", f"--protocol={workload.mode.value}"]
    words += [f"--scale={workload.scale}", f"--random-seed={workload.seed}"]
    if load.is_open:
        words.append(f"--rate={load.stages[0].start:.9g}")
        if load.limit_s is not None:
            words.append(f"--latency-limit={load.limit_s * 1000:.9g}")
    if load.max_tries != 1:
        words.append(f"--max-tries={load.max_tries}")
    for name, value in workload.defined.items():
        words.append(f"--define={name}={value}")
    for part, file in zip(workload.parts, files, strict=True):
        words.append(f"--file={file}@{part.weight}")
    address, password = without_password(target.dsn)
    environment = {"PGAPPNAME": target.application_name, "PGCONNECT_TIMEOUT": str(ceil(target.connect_timeout_s))}
    environment |= {f"PG{name.upper()}": value for name, value in Tls(Dsn(target.dsn)).of_libpq().items()}
    if password is not None:
        environment["PGPASSWORD"] = password
    return Command([*words, address], environment)


def without_password(dsn: str) -> tuple[str, str | None]:
    """An address for everybody's eyes, and the password that was in it."""
    parts = urlsplit(dsn)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    in_query = [value for name, value in query if name == "password"]
    rest = urlencode([(name, value) for name, value in query if name != "password"])
    address = parts._replace(netloc=f"{user}{at}{hosts}", query=rest).geturl()
    return address, unquote(password) or (in_query[-1] if in_query else None)
