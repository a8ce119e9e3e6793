"""Publications: sites whose enterprise lets anybody see their daily compliance."""

from __future__ import annotations

import sqlalchemy as sa

from greenmine.accounts import schema


class Publications:
    """The public sites of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def sites(self) -> frozenset[str]:
        """Ids of the sites that are public."""
        with self._engine.connect() as connection:
            return frozenset(connection.execute(sa.select(schema.publication.c.site)).scalars())

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
