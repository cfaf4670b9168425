"""What the role may do that an application need not."""

from __future__ import annotations

from collections.abc import Iterator

from dbpool.core.doctor.facts import Facts, Role
from dbpool.core.doctor.findings import Finding, Level, ok, unknown
from dbpool.core.identifier import quoted
from dbpool.wording import counted


def look_at_role(facts: Facts) -> Iterator[Finding]:
    """Superuser, BYPASSRLS, ownership, rights to make roles and databases."""
    role, name = facts.attributes, quoted(facts.role)
    if role is None:
        yield unknown("role.attributes", f"what role {facts.role} may do")
        return
    if role.is_superuser:
        yield Finding(
            "role.superuser",
            Level.WARNING,
            f"role {facts.role} is a superuser",
            "No limit, privilege or row-level policy binds it, and whoever injects SQL can run programs on the server.",
            "CREATE ROLE app LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app; and "
            "connect as that.",
        )
        return
    if role.bypasses_rls:
        yield Finding(
            "role.bypassrls",
            Level.WARNING,
            f"role {facts.role} has BYPASSRLS",
            "Row-level security does not bind it: one tenant can be shown the rows of another.",
            f"ALTER ROLE {name} NOBYPASSRLS;",
        )
    yield from _ownership(facts, role, name)
    if extra := [
        word
        for has_it, word in (
            (role.creates_roles, "CREATEROLE"),
            (role.creates_databases, "CREATEDB"),
            (role.replicates, "REPLICATION"),
        )
        if has_it
    ]:
        yield Finding(
            "role.rights",
            Level.ADVICE,
            f"role {facts.role} has {' and '.join(extra)}",
            "An application needs neither; with REPLICATION it can read all databases.",
            f"ALTER ROLE {name} {' '.join(f'NO{word}' for word in extra)};",
        )
    if not (role.bypasses_rls or role.owns_database or role.owned_tables or extra):
        yield ok("role.rights", f"role {facts.role} is an ordinary one")


def _ownership(facts: Facts, role: Role, name: str) -> Iterator[Finding]:
    owned = (["the database"] if role.owns_database else []) + (
        [counted(role.owned_tables, "table")] if role.owned_tables else []
    )
    if owned:
        yield Finding(
            "role.owner",
            Level.ADVICE,
            f"role {facts.role} owns {' and '.join(owned)}",
            "An owner can drop what it owns, and row-level security does not bind it unless it is forced.",
            f"Migrate as another role, which owns everything: REASSIGN OWNED BY {name} TO owner; or at least ALTER "
            f"TABLE ... FORCE ROW LEVEL SECURITY.",
        )
