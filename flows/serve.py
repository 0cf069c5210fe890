"""Prefect's command line for a server, whose transactions take the lock of SQLite when they begin.

Prefect begins them as DEFERRED. One that reads, and then writes what another has written meanwhile, fails at once with
"database is locked", and who asked for it asks again two seconds later. IMMEDIATE ones wait for each other instead
(https://sqlite.org/lang_transaction.html). PostgreSQL hears nothing of this.
"""

from typing import Any

from sqlalchemy import Engine, event


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def lock_at_once(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Let a transaction of SQLite begin with its lock."""
    return "BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement, parameters


if __name__ == "__main__":
    from prefect.cli import app

    app()
