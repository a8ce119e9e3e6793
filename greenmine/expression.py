"""JMESPath expressions: compiled and checked at start, evaluated on what strangers send."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import jmespath
import msgspec
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.visitor import Options


class ExpressionError(ValueError):
    """A text is no expression, or the expression cannot be evaluated on a document."""


class _Functions(functions.Functions):
    """The functions of the specification, and some more.

    Parameters
    ----------
    whole : object
        The message that the document is a part of.
    """

    def __init__(self, whole: Any = None) -> None:
        self._whole = whole

    @functions.signature({"types": ["object"]})
    def _func_items(self, members: dict[str, Any]) -> list[list[Any]]:
        """Name and value of each member: the way to data whose names are times or numbers."""
        return [[name, value] for name, value in members.items()]

    @functions.signature()
    def _func_whole(self) -> Any:
        """The whole message: the way from a part of it to what stands beside the part."""
        return self._whole

    @functions.signature({"types": ["string"]}, {"types": ["string"]})
    def _func_split(self, text: str, separator: str) -> list[str]:
        """The parts of a text, without blanks around them."""
        return [part.strip() for part in text.split(separator, _PARTS)]

    @functions.signature({"types": ["string"]})
    def _func_from_json(self, text: str) -> Any:
        """What a text says that is JSON."""
        return _read_json(text)


_PARTS: Final = 10_000
"""Most parts of a text; the last one has the rest."""
_read_json: Final = msgspec.json.Decoder().decode


class Expression:
    """A JMESPath expression.

    Besides the functions of the specification there are ``items(object)``, a list of [name, value]; ``split(text, separator)``;
    ``from_json(text)``; and ``whole()``, the message that the document is a part of.

    Parameters
    ----------
    text : str
        The expression.

    Raises
    ------
    ExpressionError
        The text is no expression, or calls a function that does not exist or with a wrong number of arguments.

    Examples
    --------
    >>> Expression("items(@)[*][1].t").search({"1611082554": {"t": 21.42}})
    [21.42]
    """

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise ExpressionError(f"{text!r} is no JMESPath expression: {_first_line(error)}") from None
        tree: Any = self._compiled.parsed
        for name, count in _calls(tree):
            known: Any = _Functions.FUNCTION_TABLE.get(name)
            if known is None:
                raise ExpressionError(f"{text!r}: JMESPath has no function '{name}'")
            signature = known["signature"]
            variadic = bool(signature) and bool(signature[-1].get("variadic"))
            if count < len(signature) or (count > len(signature) and not variadic):
                raise ExpressionError(f"{text!r}: '{name}' takes {len(signature)} arguments, not {count}")

    def search(self, document: Any, whole: Any = None) -> Any:
        """The value of the expression on a document; None where the document has nothing there.

        Parameters
        ----------
        document : object
            Data of JSON.
        whole : object
            The message that the document is a part of.

        Raises
        ------
        ExpressionError
            The document has something there that a function of the expression does not take.
        RecursionError
            The document is nested too deeply for a function of the expression.
        """
        try:
            return self._compiled.search(document, options=Options(custom_functions=_Functions(whole)))
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 -- functions fail on odd numbers in more ways than the library declares
            raise ExpressionError(f"{self.text!r} cannot be evaluated: {_first_line(error)[:200]}") from None


@lru_cache(maxsize=1000)
def expression(text: str) -> Expression:
    """The expression of a text, the same for all devices of a profile; see ``Expression``."""
    return Expression(text)


def _calls(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and number of arguments of each function that an expression calls."""
    if node["type"] == "function_expression":
        yield node["value"], len(node["children"])
    for child in node["children"]:
        if isinstance(child, dict):  # the bounds of a slice are numbers, or nothing
            yield from _calls(child)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":, ")
