"""From a template and its values to a page, in the reader's language."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from greenmine.api.pages.wording import Wording
from greenmine.times import local
from greenmine.wording.messages import LANGUAGES, Language
from greenmine.wording.words import VERDICT_SIGNS

_TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of the text around them; strangers may send them in names."""


def _shown(value: object) -> object:
    """A text with what would turn its neighbours made visible; markup of ours as it is."""
    return _TURNING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", value) if type(value) is str else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("greenmine.api"),
    autoescape=True,
    finalize=_shown,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    request: Request, template: str, wording: Wording, chosen: Language | None, instant: int, **values: Any
) -> Response:
    """Page of a template.

    Parameters
    ----------
    request : Request
        What is answered; its ``state.caller`` is named in the page's head.
    template : str
        File in ``templates``.
    wording : Wording
        Language and names.
    chosen : Language, optional
        Language that was asked for, to be remembered.
    instant : int
        Time of the page [ms UTC].
    **values
        What the template needs: ``notice`` and ``events`` for all, beside its own.
    """
    zone = wording.registry.sites[0].zone if wording.registry.sites else "UTC"

    def in_language(language: Language) -> str:
        query = [pair for pair in request.query_params.multi_items() if pair[0] != "lang"]
        return f"{request.url.path}?{urlencode([*query, ('lang', language)])}"

    text = _ENVIRONMENT.get_template(template).render(
        w=wording,
        t=wording.t,
        lang=wording.language,
        now=local(instant, zone),
        path=request.url.path,
        in_language=in_language,
        caller=getattr(request.state, "caller", None),
        signs=VERDICT_SIGNS,
        **values,
    )
    page = HTMLResponse(
        text,
        headers={"Cache-Control": "no-store", "Content-Language": wording.language, "Vary": "Accept-Language, Cookie"},
    )
    if chosen is not None:
        secure = request.url.scheme == "https"
        page.set_cookie("lang", chosen, max_age=365 * 86_400, httponly=True, samesite="strict", secure=secure)
    return page


def language_of(request: Request, chosen: Language | None) -> Language:
    """The language asked for, remembered, or preferred by the browser; Chinese otherwise."""
    if chosen is not None:
        return chosen
    for language in LANGUAGES:
        if request.cookies.get("lang") == language:
            return language
    weighed = []
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    for _, tag in sorted(weighed, key=lambda pair: -pair[0]):
        for language in LANGUAGES:
            if tag == language:
                return language
    return "zh"
