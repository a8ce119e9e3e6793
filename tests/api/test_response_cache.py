from __future__ import annotations

from greenmine.api.http.response_cache import Kept


def test_what_was_not_asked_for_longest_makes_room() -> None:
    kept = Kept(most=10)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"1234")
    assert kept.get("b") is None
    assert kept.get("a") == b"1234"
    kept.put("a", b"12")
    kept.put("d", b"1234")
    assert kept.get("c") == b"1234", "a shorter body left room"


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    kept = Kept(most=10)
    kept.put("large", bytes(11))
    assert kept.get("large") is None
    kept.put("small", b"x")
    assert kept.get("small") == b"x"
