"""Prefect's command line for a server whose SQLite makes nobody ask twice, and that no page from elsewhere may call.

Prefect begins transactions as DEFERRED. One that reads, and then writes what another has written meanwhile, fails at
once with "database is locked", and who asked for it asks again two seconds later. IMMEDIATE ones wait for each other
instead (https://sqlite.org/lang_transaction.html). And each of its five connections would keep up to 80 MB of pages,
so that the memory follows the file, night after night, and nothing is faster for it. PostgreSQL hears nothing of this.

And whoever may call the server may run code, but a browser lets any page that it shows call this machine. Prefect's
tokens against that do not cover its sockets, and its own automations that pause one another do not have them.
"""

import os
import re
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, event
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

NO_NAME = re.compile(rb"(localhost|[\d.]+|\[[\da-f:.]+\])(:\d+)?", re.IGNORECASE)
PAGES = "PRAGMA cache_size = -2000"  # kB, as SQLite has it by default; the system keeps the file in memory anyway


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def lock_at_once(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Let a transaction of SQLite begin with its lock."""
    return "BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement, parameters


@event.listens_for(Engine, "engine_connect")
def keep_few_pages(connection: Connection) -> None:
    """Tell a connection to SQLite that is used for the first time to keep few pages; Prefect has told it its own."""
    if connection.dialect.name == "sqlite" and PAGES not in connection.info:
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(PAGES)
        connection.info[PAGES] = True  # it lives as long as the connection to the file


def is_foreign(scope: Scope, by_name: bool) -> bool:
    """Tell whether a page from elsewhere wants to change something or a socket; what it may read CORS says.

    Browsers say so in headers that no page can set; whoever is no browser has neither header, or need not. But whoever
    owns a name may let it lead here after his page has come from it, and it counts as the server's own (DNS rebinding):
    so only a server with a password may be called `by_name`.
    """
    if scope["type"] == "lifespan":
        return False
    headers = dict(scope["headers"])
    if not by_name and not NO_NAME.fullmatch(headers.get(b"host", b"localhost")):
        return True
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return False
    if site := headers.get(b"sec-fetch-site"):  # newer browsers, over TLS and on the loopback; right behind proxies too
        return site not in (b"same-origin", b"none")
    return b"origin" in headers and headers[b"origin"].partition(b"://")[2] != headers.get(b"host")


def for_own_pages(app: ASGIApp, by_name: bool) -> ASGIApp:
    """Let an application answer its own pages, and programs, alone."""
    hint = "" if by_name else " Without a password it is called by its address or as localhost."
    refused = JSONResponse({"detail": f"Pages of other origins than the server's own may not call it.{hint}"}, 403)
    answers: dict[str, ASGIApp] = {"http": refused, "websocket": WebSocketClose(1008)}

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        await (answers[scope["type"]] if is_foreign(scope, by_name) else app)(scope, receive, send)

    return guarded


if __name__ == "__main__":
    import uvicorn
    from prefect.cli import app

    run, by_name = uvicorn.run, bool(os.environ.get("PREFECT_SERVER_API_AUTH_STRING"))
    vars(uvicorn)["run"] = lambda app, **settings: run(for_own_pages(app, by_name), **settings)
    app()
