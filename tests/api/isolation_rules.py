"""Who may use each operation of the server, and which of its parameters name something that belongs to somebody.

An operation that is not in this table fails `test_isolation.py`, and so does a parameter that is neither here nor harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

Who = Literal[
    "open",
    "callers",
    "actors",
    "commenters",
    "overseers",
    "signed in",
    "enterprises",
    "administrators",
    "subscribers",
    "notifiers",
    "office",
]
Number = Literal["exceedance", "request", "session", "token", "user", "bundle", "assessed", "subscription", "upload"]
Entry = Literal["entry", "share"]

OWNED: Final = {"site", "station", "channel", "rule", "number", "entry"}
"""Parameters that name something of somebody."""
HARMLESS: Final = {"at", "change", "group", "page", "q",
    "size", "cursor", "before", "format", "bom", "from", "to", "window", "every", "revisions", "revision", "limit", "state", "days",
    "lang", "parameter", "points", "todo", "what", "command", "action", "next", "name", "start", "period", "item",
    "kind", "units", "columns", "zone", "stamps", "time", "time_format", "missing", "sheet", "epoch", "where", "marks", "tolerate",
    "total", "detection_limit", "decimal", "delimiter", "encoding",
}  # fmt: skip
"""Parameters that choose among what is visible anyway."""


class Rule(NamedTuple):
    """What holds for an operation.

    ``needed`` are query parameters that it cannot do without, ``given`` those with a fixed value. ``body`` is a JSON document,
    ``form`` the fields of a form; in both, ``{site}`` and the like stand for what belongs to somebody. ``ok`` are the statuses
    of an answer to who may use it.
    """

    who: Who = "callers"
    needed: tuple[str, ...] = ()
    given: Mapping[str, str] = MappingProxyType({})
    number: Number = "exceedance"
    entry: Entry = "entry"
    body: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    ok: tuple[int, ...] = (200,)


_MARK = {
    "site": "{site}", "station": "{station}", "start": "2026-11-22T10:00:00+08:00", "end": "2026-11-22T11:00:00+08:00",
    "kind": "maintenance", "reason": "inlet cleaned",
}  # fmt: skip
_DOWNLOAD = {"what": "verdicts", "format": "csv", "from": "2026-11-22", "to": "2026-11-23"}
_PERIOD = {"from": "2026-11-22T00:00", "to": "2026-11-23T00:00"}
_PASSWORDS = {"current": "wrong", "new": "x", "again": "x"}
_ITEM = {"site": "{site}", "item": "降尘降噪", "state": "underway", "text": "third sprayer ordered"}
_SHARE: dict[str, Any] = {"receiver": "evaluation centre", "days": 7}
_SHARE_FORM: dict[str, str] = {"receiver": "evaluation centre", "days": "7"}
_PROOF = {"item": "降尘降噪", "name": "note.txt"}
_FILE = {"name": "log.csv"}
_NO_CODE: dict[str, str] = {"code": "share_of-nobody"}
_SUBSCRIPTION = {"name": "x", "enterprise": "{site}", "target": {"kind": "mqtt"}, "events": ["exceedance-opened"]}
_WISHES = {"name": "x", "events": "exceedance-opened"}
_OLD_FILE: dict[str, str] = {"name": "enterprises.toml", "digest": "of another text", "text": "#"}
_USER_FORM: dict[str, str] = {"name": "x", "role": "supervisor"}

RULES: Final[dict[str, Rule]] = {
    "healthz": Rule("open"),
    "metrics_text": Rule(),
    "sites": Rule(),
    "stations": Rule(),
    "latest_readings": Rule(),
    "readings": Rule(needed=("channel",)),
    "statistics": Rule(needed=("channel",)),
    "verdicts": Rule(),
    "exceedances": Rule(),
    "limit_statistics": Rule(needed=("site",)),
    "air_quality_index": Rule(needed=("site",)),
    "live": Rule(),
    "ledger": Rule(),
    "gaps": Rule(),
    "reported_aggregates": Rule(),
    "logger_gaps": Rule(),
    "logger_information": Rule(),
    "conflicts": Rule(),
    "late": Rule(),
    "rejections": Rule(),
    "health": Rule(),
    "explanation": Rule(needed=("rule", "start")),
    "report_file": Rule(needed=("site",), given={"period": "2026-11-22"}),
    "GET /reports": Rule(),
    "GET /wall": Rule(),
    "recomputation_file": Rule(needed=("rule", "start")),
    "marks": Rule(),
    "ask": Rule("actors", body=_MARK, ok=(202,)),
    "requests": Rule(),
    "asked_for": Rule(number="request"),
    "decide": Rule("overseers", number="request", body={"decision": "confirm"}, ok=(409,)),
    "chart": Rule(needed=("channel",)),
    "exceedance": Rule(),
    "handle": Rule("actors", body={"kind": "cause", "text": "dry road"}, ok=(201,)),
    "attach": Rule("commenters", given={"name": "note.txt"}, body={}, ok=(201,)),
    "attachment": Rule(),
    "caller_view": Rule(),
    "audit_log": Rule(),
    "GET /": Rule(),
    "GET /sites/{site}": Rule(),
    "GET /sites/{site}/charts/{parameter}": Rule(),
    "GET /static/vega.js": Rule("open"),
    "GET /sites/{site}/stations/{station}": Rule(),
    "GET /sites/{site}/stations/{station}/charts/{parameter}": Rule(given=_PERIOD),
    "GET /explanation": Rule(needed=("rule", "start")),
    "GET /explanation/chart": Rule(needed=("rule", "start")),
    "GET /exceedances": Rule(),
    "GET /sites/{site}/exceedances": Rule(),
    "GET /exceedances/{number}": Rule(),
    "preview_upload": Rule("actors", needed=("site", "station"), given=_FILE, body={}, ok=(400,)),
    "hand_in": Rule("actors", needed=("site", "station"), given=_FILE, body={}, ok=(400,)),
    "uploads": Rule(),
    "handed_in": Rule(number="upload"),
    "GET /sites/{site}/stations/{station}/upload": Rule("actors"),
    "GET /sites/{site}/quality": Rule(),
    "GET /sites/{site}/downloads": Rule(),
    "GET /sites/{site}/download": Rule(given=_DOWNLOAD, ok=(303,)),
    "GET /comparison": Rule("overseers"),
    "GET /sign-in": Rule("open", ok=(200, 303)),
    "POST /sign-in": Rule("open", form={"name": "nobody", "password": "wrong"}, ok=(401, 429)),
    "POST /sign-out": Rule("callers", form={}, ok=(303,)),
    "GET /account": Rule("signed in"),
    "POST /account/password": Rule("signed in", form=_PASSWORDS, ok=(400,)),
    "POST /account/sessions/{number}/end": Rule("signed in", number="session", form={}, ok=(303,)),
    "POST /account/tokens": Rule("signed in", form={"name": "test", "days": "1", "sites": "{site}"}),
    "POST /account/tokens/{number}/revoke": Rule("signed in", number="token", form={}, ok=(303,)),
    "POST /account/publications": Rule("enterprises", form={"site": "{site}", "public": "false"}, ok=(303,)),
    "GET /users": Rule("administrators"),
    "POST /users": Rule("administrators", form=_USER_FORM, ok=(400,)),
    "POST /users/{number}/password": Rule("administrators", number="user", form={}),
    "POST /users/{number}/disable": Rule("administrators", number="user", form={}, ok=(303,)),
    "POST /users/{number}/enable": Rule("administrators", number="user", form={}, ok=(303,)),
    "GET /registry": Rule("administrators"),
    "GET /registry/file": Rule("administrators", given={"name": "enterprises.toml"}),
    "POST /registry/file": Rule("administrators", form=_OLD_FILE, ok=(400,)),
    "POST /registry/entry": Rule("administrators", form={"kind": "enterprises"}, ok=(400,)),
    "POST /registry/changes/{change}/undo": Rule("administrators", form={}, ok=(400,)),
    "GET /audit": Rule(),
    "GET /public": Rule("open"),
    "GET /public/{site}": Rule("open"),
    "bundles": Rule(),
    "witness": Rule("open", body={"statement": "none", "signature": "", "key": ""}, ok=(400,)),
    "statements": Rule("open"),
    "ask_for_bundle": Rule("commenters", body={"site": "{site}", "period": "2026-10"}, ok=(202, 409)),
    "bundle": Rule(number="bundle"),
    "bundle_file": Rule(number="bundle"),
    "shares": Rule("commenters", number="bundle"),
    "share_bundle": Rule("commenters", number="bundle", body=_SHARE, ok=(201,)),
    "revoke_share": Rule("commenters", number="bundle", entry="share"),
    "reporting": Rule(),
    "assessments": Rule(needed=("site",)),
    "assess": Rule("actors", body=_ITEM, ok=(201,)),
    "attach_proof": Rule("actors", needed=("site",), given=_PROOF, body={}, ok=(201,)),
    "proof": Rule(number="assessed"),
    "GET /evidence": Rule(),
    "GET /sites/{site}/evidence": Rule(),
    "GET /sites/{site}/assessment": Rule(),
    "GET /sites/{site}/file": Rule(),
    "GET /bundles/{number}": Rule(number="bundle"),
    "POST /bundles/{number}/shares": Rule("commenters", number="bundle", form=_SHARE_FORM),
    "POST /bundles/{number}/shares/{entry}/revoke": Rule(
        "commenters", number="bundle", entry="share", form={}, ok=(303,)
    ),
    "GET /shared": Rule("open"),
    "POST /shared": Rule("open", form=_NO_CODE, ok=(404,)),
    "POST /shared/file": Rule("open", form=_NO_CODE, ok=(404,)),
    "GET /sign-in/oidc": Rule("open", ok=(404,)),
    "GET /sign-in/oidc/callback": Rule("open", ok=(404,)),
    "subscriptions": Rule(),
    "subscribe": Rule("notifiers", body=_SUBSCRIPTION, ok=(201,)),
    "subscription": Rule("subscribers", number="subscription"),
    "change_subscription": Rule("notifiers", number="subscription", body={"name": "x"}),
    "unsubscribe": Rule("notifiers", number="subscription", ok=(204,)),
    "try_subscription": Rule("notifiers", number="subscription", ok=(202,)),
    "subscription_messages": Rule("subscribers", number="subscription"),
    "GET /notifications": Rule("signed in"),
    "POST /notifications": Rule("office", form=_WISHES | {"kind": "mqtt", "enterprise": "{site}"}),
    "GET /notifications/{number}": Rule("office", number="subscription"),
    "POST /notifications/{number}": Rule("office", number="subscription", form=_WISHES, ok=(303,)),
    "POST /notifications/{number}/test": Rule("office", number="subscription", form={}, ok=(303,)),
    "POST /notifications/{number}/remove": Rule("office", number="subscription", form={}, ok=(303,)),
}
