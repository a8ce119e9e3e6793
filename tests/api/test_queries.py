from __future__ import annotations

from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.times import DAY
from tests.api.conftest import Served
from tests.api.filling import LOUD
from tests.records import record_in

OTHER = Scope(frozenset({"jiuchi"}))


def test_nothing_leaves_the_scope(served: Served) -> None:
    whole = Scope(frozenset(site.id for site in served.registry.sites))
    first, far = 0, served.now + DAY
    with RecordAccess(record_in(served.data), served.registry).queries() as queries:
        key = f"{LOUD}/boundary/tsp"
        assert len(queries.readings(whole, key, first, far))
        assert not len(queries.readings(OTHER, key, first, far))
        assert queries.exceedances(whole, first, far, limit=9)
        assert not queries.exceedances(OTHER, first, far, limit=9)
        assert not queries.changed_exceedances(OTHER, (0, 0), (1 << 62, 0), 9)
        assert {
            row.rule.split("/")[0] for row in queries.verdicts(OTHER, first, far, site=None, limit_id=None, limit=99)
        } == {"jiuchi"}
        assert {key.split("/")[0] for key in queries.last_verdicts(OTHER)} == {"jiuchi"}
        assert {key.split("/")[0] for key in queries.hours(OTHER, first, far)} == {"jiuchi"}
        assert {key.split("/")[0] for key in queries.health(OTHER)} == {"jiuchi"}
        assert {row.site for row in queries.ledger(OTHER, None, None, site=None, limit=99, after=None)} == {"jiuchi"}
        assert {row.site for row in queries.ledger_totals(OTHER)} == {"jiuchi"}
        assert {row.site for row in queries.rejections(OTHER, site=None, limit=99, before=None)} == {"jiuchi"}
        assert {channel.site for channel in queries.channels(OTHER).values()} == {"jiuchi"}
        assert set(queries.newest(OTHER)) == set(queries.channels(OTHER))
        assert set(queries.changed_channels(OTHER, 0, 1 << 62)) == set(queries.channels(OTHER))
        assert not queries.sliding_hours(OTHER, first, LOUD)
        rules = {rule.key for rule in served.registry.rules if rule.site == LOUD}
        assert queries.sliding_masks(whole, first, rules)
        assert not queries.sliding_masks(OTHER, first, rules)
        for counts in (queries.open_exceedances, queries.unacknowledged_exceedances):
            assert set(counts(whole)) == {LOUD}
            assert counts(OTHER) == {}
        assert set(queries.exceedances_since(whole, first)) == {LOUD}
        assert queries.exceedances_since(whole, far) == dict.fromkeys([LOUD], queries.open_exceedances(whole)[LOUD])
        assert queries.exceedances_since(OTHER, first) == {}
        assert not queries.statistics(OTHER, key, "hour", first, far, revisions=False, limit=9)
