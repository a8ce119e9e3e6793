"""The registry, for administrators: mines, stations, devices, and all else that its files hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from msgspec import inspect
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import Caller
from greenmine.api.editing import FILES, ConflictError, Editing, RegistryChange, digest, table, with_limits
from greenmine.api.http import arguments
from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import Given, NothingGiven
from greenmine.api.http.problems import Problem
from greenmine.api.pages.page import Page, PageOf
from greenmine.api.pages.wording import Wording
from greenmine.entries import (
    Approval,
    Calibration,
    Device,
    Document,
    Enterprise,
    Inspection,
    ReferenceResult,
    Site,
    Stage,
    Station,
)
from greenmine.record.basis import announce
from greenmine.registry import Registry, RegistryError
from greenmine.times import local, now

router = APIRouter()

LARGEST_FILE: Final = 2_000_000
"""Longest form [bytes]: a file of the registry as it is sent."""
_SHOWN: Final = 50
"""Changes listed."""


class LimitsOfStation(msgspec.Struct, frozen=True):
    """Limits to be added to a station that has devices for them."""

    station: str
    limits: tuple[str, ...]


Kind = Literal[
    "enterprises", "sites", "stations", "devices", "limits", "calibrations", "references", "documents", "stages", "approvals",
    "inspections",
]  # fmt: skip
_KINDS: Final[dict[Kind, type[msgspec.Struct]]] = {
    "enterprises": Enterprise,
    "sites": Site,
    "stations": Station,
    "devices": Device,
    "limits": LimitsOfStation,
    "calibrations": Calibration,
    "references": ReferenceResult,
    "documents": Document,
    "stages": Stage,
    "approvals": Approval,
    "inspections": Inspection,
}
"""What a form can add; all else is written into the text of the file."""
_OF_SITES: Final[tuple[Kind, ...]] = tuple(kind for kind in _KINDS if kind not in {"enterprises", "sites"})


class FormField(msgspec.Struct, frozen=True):
    """A field of a form that adds an entry."""

    name: str
    form: Literal["text", "number", "day", "time", "yes", "lines", "one", "several"]
    required: bool
    choices: dict[str, str] = {}
    """Label by value, for ``one`` and ``several``."""
    given: str = ""


class FileArguments(arguments.PageArguments):
    """A file of the registry."""

    name: str


class FileForm(arguments.Filled):
    """A file as a person has changed it, and the digest of what they changed."""

    name: str
    digest: str
    text: str


@router.get("/registry")
def registry_page(_: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page of the registry: its mines and files, forms for new ones, and what was changed."""
    _administrator(page.caller)
    return _overview(page)


@router.get("/registry/file")
def registry_file(given: Given[FileArguments], page: PageOf) -> Response:
    """Page of a file of the registry."""
    _administrator(page.caller)
    return _file(page, given.name)


@router.post("/registry/file")
def save_file(given: Annotated[FileForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Write a file, if the registry is sound with it."""
    _administrator(page.caller)
    text = given.text.replace("\r\n", "\n")
    before = _editing(page.context).text(given.name)
    try:
        if digest(before) != given.digest:
            raise ConflictError(f"{given.name}: was changed by somebody else meanwhile; load it again")
        _change(page.context, audit, given.name, before, text)
    except (RegistryError, ValueError) as error:
        return _file(page, given.name, text=text, faults=_faults(error))
    return RedirectResponse(f"/registry/file?name={given.name}", 303)


async def filled(request: Request) -> dict[str, list[str]]:
    """Fields of a form whose names depend on what it adds."""
    found: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        found.setdefault(name, []).append(str(value))
    return found


@router.post("/registry/entry")
def add_entry(
    _: NothingGiven, form: Annotated[dict[str, list[str]], Depends(filled)], page: PageOf, audit: AuditOf
) -> Response:
    """Add an entry by the fields of its form: a mine makes a file, an enterprise or a mine's entry is put at a file's end."""
    _administrator(page.caller)
    context = page.context
    kind: Any = form.get("kind", [""])[0]
    if kind not in _KINDS:
        raise Problem(400, f"kind: one of {', '.join(_KINDS)} would be right")
    name = form.get("name", [""])[0] if kind in _OF_SITES else "enterprises.toml"
    try:
        for values in form.values():
            for value in values:
                arguments.without_control(value)
        entry = _entry(context.registry, kind, form, name)
        if kind == "sites":
            name = f"sites/{entry['id']}.toml"
            _check_new(context, entry["id"])
            _change(context, audit, name, None, table(entry) + "\n")
        else:
            before = _text(context, name)
            if kind == "limits":
                after = with_limits(before, entry["station"], entry["limits"])
            else:
                after = f"{before.rstrip()}\n\n{table(entry, f'[[{kind}]]')}\n"
            _change(context, audit, name, before, after)
    except (RegistryError, ValueError) as error:
        if kind in _OF_SITES:
            return _file(page, name, faults=_faults(error), filled=(kind, form))
        return _overview(page, faults=_faults(error), filled=(kind, form))
    return RedirectResponse("/registry" if kind == "enterprises" else f"/registry/file?name={name}", 303)


@router.post("/registry/changes/{change}/undo")
def undo_change(change: int, _: Annotated[arguments.Filled, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Take a change back, if the file has not been changed since and the registry is sound without it."""
    _administrator(page.caller)
    context = page.context
    measured = context.registry.measured()
    try:
        done = _editing(context).undo(change, author=page.caller.name, now=now())
    except (RegistryError, ValueError) as error:
        return _overview(page, faults=_faults(error))
    _note(context, audit, done, measured)
    return RedirectResponse("/registry", 303)


def _administrator(caller: Caller) -> None:
    if caller.role != "administrator" or caller.session is None:
        raise Problem(403, "The registry is looked after by an administrator who is signed in.")


def _editing(context: Context) -> Editing:
    folder = context.settings.registry
    if folder is None:
        raise Problem(
            409,
            "This installation uses the registry that ships with greenmine, which nobody can change. Copy it: greenmine init "
            "makes a directory with a registry of your own.",
        )
    return Editing(folder, context.settings.registry_history)


def _text(context: Context, name: str) -> str:
    found = _editing(context).text(name)
    if found is None:
        raise Problem(404, f"There is no file {name!r}; /registry lists them.")
    return found


def _change(context: Context, audit: Audit, name: str, before: str | None, after: str) -> None:
    measured = context.registry.measured()
    _note(context, audit, _editing(context).change(name, before, after, author=audit.caller.name, now=now()), measured)


def _note(context: Context, audit: Audit, done: RegistryChange, measured: Registry) -> None:
    """Write a change into the audit log, with the digests before and after, and serve the new registry.

    What the change means for figures is noted by the worker when it takes it up, and put down to the same name; ``measured``
    is what was measured before. A change of an acceptance file touches none, and no worker takes it up.
    """
    site = done.file.removeprefix("sites/").removesuffix(".toml") if "/" in done.file else None
    before, after = digest(done.before)[:16], digest(done.after)[:16]
    audit.add("registry-edited", site=site, subject=done.file, change=done.number, before=before, after=after)
    context.take_up()
    if site is not None and context.registry.measured() != measured:
        with context.record.writable.begin() as connection:
            announce(connection, site, audit.caller.name, now())


def _faults(error: ValueError) -> list[str]:
    return list(error.faults) if isinstance(error, RegistryError) else [str(error)]


def _overview(
    page: Page, *, faults: list[str] | None = None, filled: tuple[Kind, Mapping[str, list[str]]] | None = None
) -> Response:
    editing = _editing(page.context)
    forms = [(kind, _fields(page.registry, kind, None, page.wording)) for kind in ("sites", "enterprises")]
    return _page(
        page, "registry.html", faults, filled,
        names=editing.names(), forms=forms, changes=_listed(page, editing.changes()),
    )  # fmt: skip


def _file(
    page: Page,
    name: str,
    *,
    text: str | None = None,
    faults: list[str] | None = None,
    filled: tuple[Kind, Mapping[str, list[str]]] | None = None,
) -> Response:
    context, registry = page.context, page.registry
    editing = _editing(context)
    there = _text(context, name)
    site = next((one for one in registry.sites if name == f"sites/{one.id}.toml"), None)
    forms = [] if site is None else [(kind, _fields(registry, kind, site, page.wording)) for kind in _OF_SITES]
    changes = [change for change in editing.changes() if change.file == name]
    return _page(
        page, "registry-file.html", faults, filled,
        name=name, site=site, forms=forms, text=there if text is None else text, digest=digest(there),
        changes=_listed(page, changes),
        devices=[] if site is None else [(device, _commands(context, site, device)) for device in site.devices],
    )  # fmt: skip


def _check_new(context: Context, site: str) -> None:
    """Refuse an id that names no file of a mine, or that another mine has.

    Raises
    ------
    ValueError
        It does.
    """
    name = f"sites/{site}.toml"
    if not FILES.fullmatch(name):
        why = "only lower-case letters, digits, '.' and '-', beginning with a letter or digit"
        raise ValueError(f"id: {site!r} does not fit: {why}")
    if _editing(context).text(name) is not None:
        raise ValueError(f"id: there is a mine {site!r} already")


def _commands(context: Context, site: Site, device: Device) -> list[str]:
    """Commands that let a device in and send a first reading: over TLS where the pages are, else to the broker of this desk."""
    settings, topic = context.settings, f"greenmine/v1/{site.id}/{device.id}/readings"
    own = context.registry.profiles[device.profile].format == "greenmine"
    value = ", ".join(f'\\"{parameter}\\": VALUE' for parameter in device.parameters[:1])
    message = f'"{{\\"v\\": 1, \\"time\\": \\"$(date -Iseconds)\\", \\"values\\": {{{value}}}}}"' if own else "MESSAGE"
    public = next(filter(None, (urlsplit(one.strip()).hostname for one in settings.public_url.split(","))), None)
    if public is None:
        return [f"mosquitto_pub -h {settings.broker_host} -p {settings.broker_port} -q 1 -t {topic} -m {message}"]
    account = f"-u {site.id}/{device.id} -P PASSWORD"
    return [
        f"greenmine device add {site.id}/{device.id}",
        f"mosquitto_pub -h {public} -p {settings.ingress_port or 8883} --cafile ca.crt {account} -q 1 -t {topic} -m {message}",
    ]


def _listed(page: Page, changes: list[RegistryChange]) -> list[tuple[datetime, RegistryChange]]:
    return [(local(change.time, page.zone), change) for change in changes[:_SHOWN]]


def _page(
    page: Page,
    template: str,
    faults: list[str] | None,
    filled: tuple[Kind, Mapping[str, list[str]]] | None,
    **values: Any,
) -> Response:
    status = 400 if faults else 200
    return page.render(template, status=status, faults=faults or [], filled=filled or ("", {}), **values)


def _fields(registry: Registry, kind: Kind, site: Site | None, wording: Wording) -> list[FormField]:
    """Fields of a form: those of the entry that a form can hold, the required ones first."""
    choices = _choices(registry, site, wording)
    found: list[FormField] = []
    for field in _structure(_KINDS[kind]):
        name, required = field.encode_name, field.required
        if (kind, name) == ("stations", "limits"):  # they need a device first, and have a form of their own
            continue
        if isinstance(inner := _bare(field.type), inspect.StructType):
            found += [
                FormField(f"{name}.{one.encode_name}", "number", one.required)
                for one in inner.fields
                if isinstance(_bare(one.type), inspect.FloatType | inspect.IntType)
            ]
        elif name in choices:
            several = isinstance(inner, inspect.VarTupleType | inspect.ListType)
            found.append(FormField(name, "several" if several else "one", required, choices[name]))
        elif isinstance(inner, inspect.LiteralType):
            words = _WORDS.get(name)
            values = {str(v): f"{words}.{v}" if words else f"registry.{name}-{v}" for v in inner.values}
            found.append(FormField(name, "one", required, values))
        elif (form := _form(inner)) is not None:
            found.append(FormField(name, form, required, given=_GIVEN.get(name, "")))
    return sorted(found, key=lambda field: not field.required)


_WORDS: Final = {"unit": "unit-of", "stage": "stage-of", "kind": "approval-of"}
"""Sections of the words that others than this page use for choices, by field."""
_GIVEN: Final = {"zone": "Asia/Shanghai", "batch": "1"}


def _structure(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without its None."""
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _form(kind: inspect.Type) -> Literal["text", "number", "day", "time", "yes", "lines"] | None:
    """Form of a field; None for what a form cannot hold."""
    match kind:
        case inspect.BoolType():
            return "yes"
        case inspect.IntType() | inspect.FloatType():
            return "number"
        case inspect.DateType():
            return "day"
        case inspect.DateTimeType():
            return "time"
        case inspect.StrType():
            return "text"
        case inspect.VarTupleType(item_type=item) if isinstance(_bare(item), inspect.StrType):
            return "lines"
    return None


def _choices(registry: Registry, site: Site | None, wording: Wording) -> dict[str, dict[str, str]]:
    """What is to be chosen from, by field."""
    found = {"enterprise": {one.id: wording.name(one) for one in registry.enterprises}}
    if site is not None:
        parameters = {one.id: wording.parameter(one.id) for one in registry.parameters.values()}
        found |= {
            "station": {one.id: wording.name(one) for one in site.stations},
            "parameter": parameters,
            "parameters": parameters,
            "profile": dict.fromkeys(registry.profiles, ""),
            "limits": {one.id: wording.name(one) for one in registry.limits.values()},
            "item": dict.fromkeys(site.requirement_items, ""),
        }
    return found


def _entry(registry: Registry, kind: Kind, form: Mapping[str, list[str]], name: str) -> dict[str, Any]:
    """Values of an entry as TOML has them; what is empty is left out.

    Raises
    ------
    ValueError
        A value is not of the kind that its field takes, or a required one is missing.
    """
    site = next((one for one in registry.sites if name == f"sites/{one.id}.toml"), None)
    zone = ZoneInfo(site.zone if site is not None else "UTC")
    values: dict[str, Any] = {}
    for field in _fields(registry, kind, site, Wording("zh", registry)):
        given = [one.strip() for one in form.get(_input(field.name), []) if one.strip()]
        if not given:
            if field.required and field.form not in {"several", "lines", "yes"}:
                raise ValueError(f"{field.name}: is missing")
            if field.required:
                values[field.name] = False if field.form == "yes" else []
            continue
        try:
            value = _read(field.form, given, zone)
        except ValueError:
            expected = _EXPECTED[field.form]
            raise ValueError(f"{field.name}: {given[0]!r} does not fit; {expected} is expected") from None
        outer, _, inner = field.name.partition(".")
        if inner:
            values.setdefault(outer, {})[inner] = value
        else:
            values[field.name] = value
    return values


_EXPECTED = {
    "number": "a number",
    "day": "a day such as 2026-11-30",
    "time": "a time such as 2026-11-30T10:00",
}
"""What a form of field takes."""


def _input(name: str) -> str:
    """Name of a field in the form, apart from those that say where the entry belongs."""
    return f"entry.{name}"


def _read(form: str, given: list[str], zone: ZoneInfo) -> Any:
    match form:
        case "number":
            number = float(given[0])
            if not math.isfinite(number):
                raise ValueError
            return int(number) if number.is_integer() and "." not in given[0] else number
        case "day":
            return date.fromisoformat(given[0])
        case "time":
            return datetime.fromisoformat(given[0]).replace(tzinfo=zone)
        case "yes":
            return True
        case "lines":
            return [line.strip() for one in given for line in one.splitlines() if line.strip()]
        case "several":
            return given
    return given[0]
