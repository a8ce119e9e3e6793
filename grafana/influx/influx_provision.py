"""Buckets and tokens: one bucket, one write token and one read token per enterprise, and the same for the district.

References
----------
InfluxDB 2.7 API: ``/api/v2/orgs``, ``/buckets``, ``/authorizations``, ``/dbrps``. InfluxDB 1.8: ``CREATE DATABASE``, ``CREATE
USER``, ``GRANT``. InfluxDB 3 Core: ``/api/v3/configure/database``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import urllib3
from influxdb_client import (
    Authorization,
    Bucket,
    BucketRetentionRules,
    DBRPCreate,
    DBRPsService,
    InfluxDBClient,
    Permission,
    PermissionResource,
)
from influxdb_client.rest import ApiException

from greenmine.grafana.influx.influx import (
    Influx,
    InfluxError,
    Tokens,
    UnavailableError,
    admin_token,
    load_tokens,
    save_tokens,
    understood,
)
from greenmine.grafana.influx.influx_schema import DISTRICT, bucket_of
from greenmine.registry import Registry
from greenmine.settings import Settings

_DAY: Final = 86_400
"""[s]"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that provisioning did, or found to be missing; never a token."""

    bucket: str
    what: str


def buckets(registry: Registry) -> list[str]:
    """Names of all buckets, the district's first.

    Raises
    ------
    ValueError
        See `bucket_of`.
    """
    return [DISTRICT, *(bucket_of(enterprise.id) for enterprise in registry.enterprises)]


def provision(settings: Settings, registry: Registry) -> list[Step]:
    """Make what is missing; done twice, the second time changes nothing. Buckets of others are left alone.

    Tokens are stored in the file of tokens before anything else is done, so that none is lost.

    Returns
    -------
    list of Step
        What was done.

    Raises
    ------
    InfluxError
        InfluxDB cannot be reached, or does not let us.
    ValueError
        An enterprise has an id that it cannot have, see `bucket_of`.
    OSError
        The file of tokens, or that of the operator's token, cannot be read or written.
    """
    names = buckets(registry)
    with closing(Influx(settings, admin_token(settings))) as influx, _understandable(influx.url):
        if settings.influx_version == "1":
            return _provision_1(influx, settings, names)
        if settings.influx_version == "2":
            return _provision_2(influx, settings, names)
        return _provision_3(influx, settings, names)


@contextmanager
def _understandable(url: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        raise understood(error.status, error.body or error.reason) from error
    except urllib3.exceptions.HTTPError as error:
        raise UnavailableError(f"{url}: {error}") from error


# InfluxDB 2


def _provision_2(influx: Influx, settings: Settings, names: list[str]) -> list[Step]:
    client = influx.client
    found = [
        o
        for o in client.organizations_api().find_organizations(org=settings.influx_org)
        if o.name == settings.influx_org
    ]
    if not found:
        raise InfluxError(f"InfluxDB has no organisation {settings.influx_org!r}; GREENMINE_INFLUX_ORG names it")
    org = found[0].id
    tokens = load_tokens(settings)
    steps: list[Step] = []
    known = {b.name: b for b in client.buckets_api().find_buckets_iter(org=settings.influx_org)}
    for name in names:
        bucket = _bucket(client, org, known.get(name), name, settings.influx_retention_days * _DAY, steps)
        _mapping(client, org, bucket.id, name, steps)
        tokens[name] = Tokens(
            _token(influx, org, bucket, "write", tokens.get(name, Tokens()).write, steps),
            _token(influx, org, bucket, "read", tokens.get(name, Tokens()).read, steps),
        )
        if steps and steps[-1].bucket == name:
            save_tokens(settings, tokens)
    return steps


def _bucket(
    client: InfluxDBClient, org: str, bucket: Bucket | None, name: str, seconds: int, steps: list[Step]
) -> Bucket:
    api = client.buckets_api()
    rules = [BucketRetentionRules(type="expire", every_seconds=seconds)]
    if bucket is None:
        steps.append(Step(name, "bucket made"))
        return api.create_bucket(bucket_name=name, org=org, retention_rules=rules)
    if sum(rule.every_seconds for rule in bucket.retention_rules) != seconds:
        steps.append(Step(name, "retention set"))
        bucket.retention_rules = rules
        return api.update_bucket(bucket)
    return bucket


def _mapping(client: InfluxDBClient, org: str, bucket: str, name: str, steps: list[Step]) -> None:
    """A database of the bucket's name, so that InfluxQL finds it."""
    service = DBRPsService(client.api_client)
    found = service.get_dbr_ps(org_id=org, db=name).content or []
    ours = [m for m in found if m.bucket_id == bucket and not getattr(m, "virtual", False)]
    if ours:
        return
    for other in found:  # of a bucket that was removed
        if not getattr(other, "virtual", False):
            service.delete_dbrpid(other.id, org_id=org)
    mapping = DBRPCreate(org_id=org, bucket_id=bucket, database=name, retention_policy="autogen", default=True)
    service.post_dbrp(dbrp_create=mapping)
    steps.append(Step(name, "InfluxQL mapping made"))


def _token(influx: Influx, org: str, bucket: Bucket, kind: str, stored: str, steps: list[Step]) -> str:
    """The token of this kind; one that is not in our file is replaced, as InfluxDB 2.9 does not tell it again."""
    api = influx.client.authorizations_api()
    description = f"greenmine: {kind} {bucket.name}"
    ours = [a for a in api.find_authorizations(org_id=org) if a.description == description]
    good = (
        [a for a in ours if a.status == "active" and _is_for(a, bucket.id)]
        if _opens(stored, bucket.name, influx)
        else []
    )
    for authorization in ours:
        if authorization not in good[:1]:
            api.delete_authorization(authorization)
    if good:
        return stored
    resource = PermissionResource(type="buckets", id=bucket.id, org_id=org)
    actions = ("read", "write") if kind == "write" else ("read",)
    permissions = [Permission(action=action, resource=resource) for action in actions]
    made = api.create_authorization(
        authorization=Authorization(org_id=org, description=description, permissions=permissions)
    )
    steps.append(Step(bucket.name, f"{kind} token made"))
    return str(made.token)


def _opens(token: str, bucket: str, influx: Influx) -> bool:
    """Whether a stored token lets its bearer see the bucket."""
    if not token:
        return False
    with closing(Influx(influx.settings, token)) as bearer:
        try:
            found = bearer.request("GET", "/api/v2/buckets", {"name": bucket})
        except UnavailableError as error:
            if error.status in {401, 403, 404}:
                return False
            raise
        return bool(found.get("buckets"))


def _is_for(authorization: Authorization, bucket: str) -> bool:
    return any(permission.resource.id == bucket for permission in authorization.permissions)


# InfluxDB 1.8: databases and users


def _provision_1(influx: Influx, settings: Settings, names: list[str]) -> list[Step]:
    steps: list[Step] = []
    known = {row["name"] for row in influx.ask(None, "SHOW DATABASES")}
    duration = f"{settings.influx_retention_days}d" if settings.influx_retention_days else "INF"
    for name in names:
        if name not in known:
            influx.ask(None, f'CREATE DATABASE "{name}" WITH DURATION {duration} NAME "autogen"')
            steps.append(Step(name, "database made"))
        elif _hours(_policy(influx, name)) != settings.influx_retention_days * 24:
            influx.ask(None, f'ALTER RETENTION POLICY "autogen" ON "{name}" DURATION {duration} SHARD DURATION 7d')
            steps.append(Step(name, "retention set"))
    if admin_token(settings):  # without accounts there is nothing to grant
        _accounts(influx, settings, names, steps)
    return steps


def _policy(influx: Influx, name: str) -> str:
    return next(str(r["duration"]) for r in influx.ask(None, f'SHOW RETENTION POLICIES ON "{name}"') if r["default"])


def _hours(duration: str) -> int:
    """Hours of a duration as InfluxDB writes it: ``168h0m0s``; 0 for ever."""
    return int(duration.partition("h")[0]) if "h" in duration else 0


def _accounts(influx: Influx, settings: Settings, names: list[str], steps: list[Step]) -> None:
    tokens = load_tokens(settings)
    users = {row["user"] for row in influx.ask(None, "SHOW USERS")}
    for name in names:
        stored = tokens.get(name, Tokens())
        given: dict[str, str] = {}
        for kind, privilege in (("write", "ALL"), ("read", "READ")):
            user = f"{name}_{kind}"
            token = stored.write if kind == "write" else stored.read
            given[kind] = token or f"{user}:{secrets.token_urlsafe(32)}"
            password = given[kind].partition(":")[2]
            if user not in users or not token:
                # The password is stored before it is set: what is set and not stored would be lost.
                tokens[name] = Tokens(given.get("write", ""), given.get("read", stored.read))
                save_tokens(settings, tokens)
                made = "SET PASSWORD FOR" if user in users else "CREATE USER"
                link = "=" if user in users else "WITH PASSWORD"
                influx.ask(None, f"{made} \"{user}\" {link} '{password}'")
                steps.append(Step(name, f"{kind} account made"))
            granted = {row["database"]: row["privilege"] for row in influx.ask(None, f'SHOW GRANTS FOR "{user}"')}
            expected = "ALL PRIVILEGES" if privilege == "ALL" else privilege
            if granted.get(name) != expected:
                influx.ask(None, f'GRANT {privilege} ON "{name}" TO "{user}"')
                steps.append(Step(name, f"{kind} right granted"))


# InfluxDB 3 Core: databases; it knows tokens of operators only


def _provision_3(influx: Influx, settings: Settings, names: list[str]) -> list[Step]:
    listed: Any = influx.request("GET", "/api/v3/configure/database", {"format": "json"})
    known = {str(value) for row in listed for value in row.values()}
    steps: list[Step] = []
    for name in names:
        if name not in known:
            wanted: dict[str, Any] = {"db": name}
            if settings.influx_retention_days:
                wanted["retention_period"] = f"{settings.influx_retention_days}d"
            influx.request("POST", "/api/v3/configure/database", content=wanted)
            steps.append(Step(name, "database made"))
    return steps
