"""Publications: sites whose enterprise lets anybody see their daily compliance."""

from __future__ import annotations

import sqlalchemy as sa

from greenmine.api.accounts import schema
from greenmine.record.changes import Changes, Remembered


class Publications:
    """The public sites of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    changes : Changes
        To that file.
    """

    def __init__(self, engine: sa.Engine, changes: Changes) -> None:
        self._engine = engine
        self._remembered = Remembered[None, frozenset[str]](changes)

    def sites(self) -> frozenset[str]:
        """Ids of the sites that are public."""
        number = self._remembered.number()
        with self._engine.connect() as connection:
            found = frozenset(connection.execute(sa.select(schema.publication.c.site)).scalars())
        self._remembered.put(None, found, number)
        return found

    def recall(self) -> frozenset[str] | None:
        """The same from memory; None if the accounts were written to since it was read."""
        return self._remembered.get(None)

    def switch(self, site: str, now: int, *, public: bool) -> bool:
        """Make a site public or not; whether that changed anything."""
        with self._engine.begin() as connection:
            if not public:
                gone = sa.delete(schema.publication).where(schema.publication.c.site == site)
                return bool(connection.execute(gone).rowcount)
            known = connection.execute(
                sa.select(schema.publication.c.site).where(schema.publication.c.site == site)
            ).first()
            if known is None:
                connection.execute(sa.insert(schema.publication), [{"site": site, "since": now}])
            return known is None
