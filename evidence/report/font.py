"""The font of reports, found where the system keeps its fonts."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Self

import typst
from fontTools.ttLib import TTFont

_FAMILY: Final = "Noto Sans CJK SC"
_PACKAGE: Final = "fonts-noto-cjk"
_WEIGHTS: Final = (400, 700)
_ABSENT: Final = "□"


class FontMissingError(ValueError):
    """There is no font that a report could be set in."""


@dataclass(frozen=True)
class Font:
    """A family with a regular and a bold face."""

    family: str
    regular: Path
    index: int
    """Of the regular face in its file."""
    bold: Path

    @classmethod
    def among(cls, fonts: typst.Fonts) -> Self:
        """The font among these.

        Raises
        ------
        FontMissingError
            If it is not there; names the package that brings it.
        """
        there = {
            info.weight: info
            for info in fonts.fonts()
            if info.family == _FAMILY and info.style == "normal" and info.path is not None
        }
        if not there.keys() >= set(_WEIGHTS):
            raise FontMissingError(
                f"reports need the font {_FAMILY}, regular and bold; install the Debian package {_PACKAGE}, or put its files "
                "where the system looks for fonts"
            )
        regular, bold = (there[weight] for weight in _WEIGHTS)
        return cls(_FAMILY, Path(str(regular.path)), regular.index, Path(str(bold.path)))

    @classmethod
    @cache
    def find(cls) -> Self:
        """The font among those of the system; raises as `among`."""
        return cls.among(typst.Fonts(include_embedded_fonts=False))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of both faces."""
        found = hashlib.sha256()
        for face in (self.regular, self.bold):
            with face.open("rb") as file:
                while part := file.read(1 << 20):
                    found.update(part)
        return found.hexdigest()

    @cached_property
    def fonts(self) -> typst.Fonts:
        """As typst takes it."""
        folders = sorted({str(self.regular.parent), str(self.bold.parent)})
        return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)

    def covered(self, value: Any) -> Any:
        """A document with every character that has no sign in the font, or is invisible, replaced in all its texts.

        Subscripts and the like become plain where the font lacks them.
        PDF/A forbids signs that are missing; invisible ones could make a text read otherwise than it is.
        """
        if isinstance(value, str):
            return value if value.isascii() and value.isprintable() else "".join(map(self._sign, value))
        if isinstance(value, dict):
            return {key: self.covered(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.covered(item) for item in value]
        return value

    def _sign(self, character: str) -> str:
        if character.isspace():
            return " " if character != "\u3000" else character
        if unicodedata.category(character).startswith("C"):
            return _ABSENT
        plain = unicodedata.normalize("NFKC", character)
        return next((text for text in (character, plain) if self._characters.issuperset(map(ord, text))), _ABSENT)

    @cached_property
    def _characters(self) -> frozenset[int]:
        with TTFont(self.regular, fontNumber=self.index, lazy=True) as font:
            font.setGlyphOrder([""] * font["maxp"].numGlyphs)  # else names of all signs are read from their outlines
            return frozenset(font.getBestCmap())
