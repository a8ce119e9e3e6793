"""Users: who may sign in, in which role, for which enterprises or townships."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa

from greenmine.api.accounts import schema
from greenmine.api.accounts.passwords import check_password, hash_password, verify_password

UserRole = Literal["administrator", "supervisor", "township", "enterprise", "evaluator"]
ROLES: Final[tuple[UserRole, ...]] = get_args(UserRole)

_NAME = re.compile(r"\w[\w.@+-]{1,63}")


@dataclass(frozen=True, slots=True)
class User:
    """An account."""

    id: int
    name: str
    role: UserRole
    enterprises: tuple[str, ...]
    """Of the role ``enterprise``: ids of the registry."""
    created: int
    disabled: int | None
    has_password: bool
    townships: tuple[str, ...] = ()
    """Of the role ``township``: names of the registry."""

    @staticmethod
    def of(row: sa.Row[Any]) -> User:
        """User of a row of the table."""
        return User(
            row.id,
            row.name,
            row.role,
            tuple(row.enterprises),
            row.created,
            row.disabled,
            row.password is not None,
            tuple(row.townships),
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at an OpenID Connect provider: the provider's issuer, and its claim ``sub``."""

    issuer: str
    subject: str


def plain_name(name: str) -> str:
    """Name as it is stored: signs that look alike are one, capitals do not count."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


class Users:
    """The users of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(
        self,
        name: str,
        role: UserRole,
        now: int,
        *,
        enterprises: Sequence[str] = (),
        townships: Sequence[str] = (),
        password: str | None = None,
        identity: Identity | None = None,
    ) -> User:
        """Make an account.

        Parameters
        ----------
        name : str
            2 to 64 letters, digits, or ``. _ - @ +``.
        role : UserRole
            What it may do.
        now : int
            The present instant [ms UTC].
        enterprises : sequence of str
            For the role ``enterprise``, at least one; for others none.
        townships : sequence of str
            Likewise for the role ``township``.
        password : str, optional
            None: it works by tokens only, or by its identity.
        identity : Identity, optional
            Who it is at a provider.

        Raises
        ------
        ValueError
            The name is taken or no name, the role is unknown, its enterprises or townships do not suit it, or the password is weak.
        """
        plain = plain_name(name)
        if not _NAME.fullmatch(plain):
            raise ValueError(
                f"name {name!r}: 2 to 64 letters, digits or . _ - @ + would be right, a letter or digit first"
            )
        if role not in ROLES:
            raise ValueError(f"role {role!r}: one of {', '.join(ROLES)} would be right")
        if (role == "enterprise") != bool(enterprises):
            raise ValueError(f"role {role}: enterprises belong to the role enterprise, which needs at least one")
        if (role == "township") != bool(townships):
            raise ValueError(f"role {role}: townships belong to the role township, which needs at least one")
        if password is not None:
            check_password(password, plain, *enterprises)
        row = {
            "name": plain,
            "role": role,
            "enterprises": list(enterprises),
            "townships": list(townships),
            "password": None if password is None else hash_password(password),
            "created": now,
        }
        try:
            with self._engine.begin() as connection:
                number = connection.execute(sa.insert(schema.user).values(row).returning(schema.user.c.id)).scalar_one()
                if identity is not None:
                    who = {"issuer": identity.issuer, "subject": identity.subject, "user": number}
                    connection.execute(sa.insert(schema.identity).values(who))
        except sa.exc.IntegrityError as error:
            raise ValueError(f"name {plain!r}: there is an account of this name") from error
        user = self.named(plain)
        assert user is not None
        return user

    def all(self) -> list[User]:
        """All users, by name."""
        with self._engine.connect() as connection:
            return [User.of(row) for row in connection.execute(sa.select(schema.user).order_by(schema.user.c.name))]

    def get(self, number: int) -> User | None:
        """The user of a number."""
        return self._one(schema.user.c.id == number)

    def named(self, name: str) -> User | None:
        """The user of a name."""
        return self._one(schema.user.c.name == plain_name(name))

    def identified(self, identity: Identity) -> User | None:
        """The user of an identity, also one whose account is shut; None: nobody has come by it yet."""
        c = schema.identity.c
        known = sa.select(c.user).where(c.issuer == identity.issuer, c.subject == identity.subject).scalar_subquery()
        return self._one(schema.user.c.id == known)

    def assign(
        self, user: User, role: UserRole, *, enterprises: Sequence[str] = (), townships: Sequence[str] = ()
    ) -> User:
        """Give a user what its provider says: role, enterprises, townships; sessions and tokens have them at once."""
        changed = sa.update(schema.user).where(schema.user.c.id == user.id)
        given = {"role": role, "enterprises": list(enterprises), "townships": list(townships)}
        with self._engine.begin() as connection:
            connection.execute(changed.values(given))
        return replace(user, role=role, enterprises=tuple(enterprises), townships=tuple(townships))

    def sign_in(self, name: str, password: str) -> User | None:
        """The user whom name and password belong to; None for unknown and disabled ones too, after the same time.

        Raises
        ------
        TimeoutError
            Too many passwords are being checked at the moment.
        """
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(schema.user).where(schema.user.c.name == plain_name(name))).first()
        usable = row is not None and row.disabled is None
        right = verify_password(password, row.password if row is not None and usable else None)
        return User.of(row) if row is not None and right else None

    def set_password(self, user: User, password: str, *, keep: int | None = None) -> None:
        """Change a password; all sessions but one end.

        Parameters
        ----------
        user : User
            Whose.
        password : str
            The new one.
        keep : int, optional
            Session that goes on.

        Raises
        ------
        WeakPasswordError
            The password is weak.
        """
        check_password(password, user.name, *user.enterprises)
        hashed = hash_password(password)
        session = schema.session.c
        with self._engine.begin() as connection:
            connection.execute(sa.update(schema.user).where(schema.user.c.id == user.id).values(password=hashed))
            connection.execute(
                sa.delete(schema.session).where(session.user == user.id, session.id != (-1 if keep is None else keep))
            )

    def disable(self, user: User, now: int) -> None:
        """Shut an account: its sessions end and its tokens no longer work. What it did stays on record."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(schema.user).where(schema.user.c.id == user.id).values(disabled=now))
            connection.execute(sa.delete(schema.session).where(schema.session.c.user == user.id))

    def enable(self, user: User) -> None:
        """Open an account again."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(schema.user).where(schema.user.c.id == user.id).values(disabled=None))

    def _one(self, condition: sa.ColumnElement[bool]) -> User | None:
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(schema.user).where(condition)).first()
        return None if row is None else User.of(row)
