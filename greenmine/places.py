"""Where a record is: a file of this machine, or a database of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

SCHEMES: Final = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class RecordServer:
    """A database of PostgreSQL.

    Parameters
    ----------
    address : str
        As libpq takes it, ``postgresql://user@host:port/database?sslmode=verify-full``. It holds no password, so it may be shown.
    password : SecretStr, optional
        None: as libpq finds it, in its own environment or password file.

    Raises
    ------
    ValueError
        It is no such address, or holds a password; the text does not repeat it.
    """

    address: str
    password: SecretStr | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in SCHEMES:
            raise ValueError(
                "give an address that begins with postgresql://, or leave it out for a file in the data directory"
            )
        if parts.password is not None or any(name == "password" for name, _ in parse_qsl(parts.query)):
            raise ValueError("holds a password; give it by GREENMINE_RECORD_PASSWORD or a file in GREENMINE_SECRETS")

    def __str__(self) -> str:
        return self.address


Place = Path | RecordServer
