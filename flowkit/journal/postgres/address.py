"""Where a PostgreSQL store is: its URL taken apart, its password kept back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from flowkit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "parse"]

SCHEMES = frozenset({"postgresql", "postgres"})
SECRET = frozenset({"password", "sslpassword"})
PARAMS = {
    "application_name": "flowkit",
    "connect_timeout": "10",
    # A host that is cut off is noticed within a minute, not within two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
LONGEST = 63
"""Bytes of a name in PostgreSQL; a longer one would be cut without a word."""


class Address(NamedTuple):
    """A server, a database and a schema in it.

    Attributes:
        url: as given, without a password.
        params: for psycopg, password and all; never shown.
        schema: that holds the tables.
    """

    url: str
    params: Mapping[str, str]
    schema: str

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    @property
    def host(self) -> str:
        """Host and port, for people."""
        host = self._given("host", "hostaddr") or os.environ.get("PGHOST")
        port = self._given("port") or os.environ.get("PGPORT") or "5432"
        if not host:
            return f"the local socket, port {port}"
        if host.startswith("/"):
            return f"socket {host}, port {port}"
        return f"{host}:{port}"

    @property
    def database(self) -> str:
        """The database; PostgreSQL takes the user's name if none is given."""
        return self._given("dbname") or os.environ.get("PGDATABASE") or self.user

    @property
    def user(self) -> str:
        """Who logs in; "" if only libpq knows."""
        return self._given("user") or os.environ.get("PGUSER") or ""

    def _given(self, *names: str) -> str:
        return next((self.params[name] for name in names if name in self.params), "")


def parse(url: str) -> Address:
    """Take a URL apart: ``postgresql://user:password@host:port/database?schema=name``.

    What else stands in the query goes to libpq, such as ``sslmode``.

    Raises:
        StoreError: it is no such URL; the text does not repeat it, since a password
            may be anywhere in it.
    """
    read = _read(url)
    if read is None:  # raised here, where no cause with a password hangs on it
        raise StoreError(
            "The store's URL cannot be read. It has the form "
            "postgresql://user:password@host:port/database?schema=flowkit; "
            "in a password, write characters such as @ / : % as %40 %2F %3A %25."
        )
    schema, given = read
    if not schema or "\0" in schema or len(schema.encode()) > LONGEST:
        raise StoreError(
            f"The store's URL names the schema {schema!r}. A schema has a name of "
            f"1 to {LONGEST} bytes: ?schema=flowkit, or leave it out."
        )
    params = {name: str(value) for name, value in given.items() if value is not None}
    params = PARAMS | params
    return Address(_shown(url), params, schema)


def _read(url: str) -> tuple[str, dict[str, Any]] | None:
    """Schema and parameters for libpq; None if it is no such URL."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        schema = dict(query).get("schema", "flowkit")
        rest = [each for each in query if each[0] != "schema"]
        libpq = parts._replace(query=urlencode(rest, quote_via=quote))
        many = "," in parts.netloc  # hosts to try one after another, as libpq has it
        if parts.scheme not in SCHEMES or not (
            many or parts.port is None or parts.port
        ):
            return None
        return schema, conninfo_to_dict(urlunsplit(libpq))
    except (ValueError, psycopg.Error):
        return None


def _shown(url: str) -> str:
    """The URL without anything secret."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    query = [each for each in parse_qsl(parts.query) if each[0] not in SECRET]
    shown = parts._replace(
        netloc=login.partition(":")[0] + at + host,
        query=urlencode(query, quote_via=quote, safe="/"),
    )
    return urlunsplit(shown)
