"""Grafana's HTTP API, as far as provisioning needs it: one client for each organisation, errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self
from urllib.parse import urlencode

from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException
from urllib3.util import Retry

Json = dict[str, Any]

_TIMEOUT: Final = 30.0
_AGAIN: Final = Retry(
    connect=0,
    read=0,
    other=0,
    status=3,
    status_forcelist=(500, 502, 503),
    allowed_methods=None,
    backoff_factor=0.1,
    raise_on_status=False,
)
"""A Grafana on SQLite answers 500, "database is locked", while it writes for somebody else; 502 and 503 while it starts."""
_PAGE: Final = 1000
_NEWEST: Final = 1000


class GrafanaError(Exception):
    """Grafana does not do what it was asked."""


class UnreachableError(GrafanaError):
    """Grafana cannot be reached at all."""


class GrafanaServer:
    """Grafana, with an account that is server administrator.

    Parameters
    ----------
    url : str
        Its address, such as ``https://grafana.example.org/``; a path behind the host is taken along.
    user, password : str
        The account.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._credential = (user, password)
        self._user = user
        self._clients: dict[int | None, GrafanaApi] = {}

    def release(self) -> int:
        """First number of its version; that of the newest where it does not tell."""
        with understood("version"):
            said = str(self._client(None).health.check().get("version", ""))
        number = said.partition(".")[0]
        return int(number) if number.isdecimal() else _NEWEST

    def organisations(self) -> dict[int, str]:
        """Names of all organisations by id."""
        found: dict[int, str] = {}
        page = 0
        while True:
            with understood("organisations"):
                rows = self._client(None).client.GET("/orgs?" + urlencode({"perpage": _PAGE, "page": page}))
            found |= {int(row["id"]): str(row["name"]) for row in rows}
            if len(rows) < _PAGE:
                return found
            page += 1

    def create(self, name: str) -> int:
        """Make an organisation; the account becomes its administrator."""
        with understood(f"organisation {name}"):
            return int(self._client(None).organization.create_organization({"name": name})["orgId"])

    def rename(self, number: int, name: str) -> None:
        """Give an organisation another name."""
        with understood(f"organisation {name}"):
            self._client(None).organizations.update_organization(number, {"name": name})

    def join(self, number: int) -> None:
        """Let the account be administrator of an organisation, which it must be to act there."""
        with understood("organisations of the account"):
            mine = {int(row["orgId"]): row["role"] for row in self._client(None).client.GET("/user/orgs")}
            if number not in mine:
                user = {"loginOrEmail": self._user, "role": "Admin"}
                self._client(None).organizations.organization_user_add(number, user)

    def database(self, number: int, uid: str) -> str:
        """Database that a data source of an organisation asks; empty where there is none, or the account is no member."""
        with understood(f"organisation {number}"):
            try:
                return str(self._client(number).datasource.get_datasource_by_uid(uid).get("database") or "")
            except GrafanaClientError:
                return ""

    def account(self, login: str) -> Json | None:
        """An account of the server, None if there is none of this login."""
        with understood(f"user {login}"):
            path = "/users/lookup?" + urlencode({"loginOrEmail": login})
            found: Json | None = absent(self._client(None).client.GET, path)
            return found

    def add_account(self, user: Json) -> int:
        """Make an account."""
        with understood(f"user {user['login']}"):
            return int(self._client(None).admin.create_user(user)["id"])

    def at(self, number: int | None) -> GrafanaApi:
        """A client whose requests concern one organisation; None: whichever the account looks at."""
        return self._client(number)

    def close(self) -> None:
        """End all connections."""
        for client in self._clients.values():
            client.client.s.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _client(self, number: int | None) -> GrafanaApi:
        if number not in self._clients:
            made = GrafanaApi.from_url(self._url, credential=self._credential, timeout=_TIMEOUT)
            made.client.s.get_adapter(self._url).max_retries = _AGAIN
            if number is not None:
                made.client.s.headers["X-Grafana-Org-Id"] = str(number)
            self._clients[number] = made
        return self._clients[number]


def absent(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a method of the client returns, None where Grafana says 404."""
    try:
        return method(*given, **named)
    except GrafanaClientError as error:
        if error.status_code == 404:
            return None
        raise


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Errors of the client in words: about what, and what would help."""
    try:
        yield
    except GrafanaException as error:
        helps = {
            401: "; is GREENMINE_GRAFANA_USER the server administrator, and the password right?",
            403: "; the account must be server administrator",
            409: "; something else has this name: rename it in Grafana, or take it away",
            412: "; somebody changed it meanwhile, or something else has this name: run it again",
        }
        raise GrafanaError(f"{what}: {error.message}{helps.get(error.status_code, '')}") from error
    except OSError as error:
        raise UnreachableError(f"{what}: Grafana cannot be reached: {error}") from error
