"""Requests of a platform, as the field side takes them: 9011, what was asked for, 9012."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection
from typing import Final

from greenmine.collector.hj212.compose import Sender, reply
from greenmine.collector.hj212.link import Link
from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.secret import Secret

READY: Final = "1"
REFUSED: Final = "2"
PW_WRONG: Final = "3"
MN_WRONG: Final = "4"
CN_WRONG: Final = "8"
"""QnRtn of 9011."""

DONE: Final = "1"
CONDITION: Final = "3"
NO_DATA: Final = "100"
"""ExeRtn of 9012."""


def is_request(message: Message) -> bool:
    """Whether a message that answers nothing wants something."""
    return message.qn is not None and message.cn not in {None, "9011", "9012", "9015"}


def fields_of(message: Message) -> dict[str, str]:
    """The fields of a message by name, passwords in the clear."""
    return {f.name: f.text.reveal() if isinstance(f.text, Secret) else f.text or "" for f in message.fields}


def refusal(sender: Sender, request: Message, known: Collection[str], refused: Collection[str] = ()) -> str | None:
    """Why a request is not carried out, as QnRtn; None: it is.

    Parameters
    ----------
    sender : Sender
        Who was asked.
    request : Message
        The request.
    known : collection of str
        Commands that are carried out.
    refused : collection of str
        Commands that are understood and not carried out.
    """
    if request.mn != sender.mn:
        return MN_WRONG
    if request.password is None or request.password != sender.password:
        return PW_WRONG
    if request.cn in refused:
        return REFUSED
    return None if request.cn in known else CN_WRONG


async def comply(
    link: Link, sender: Sender, request: Message, refused: str | None, work: Callable[[], AsyncIterable[str]]
) -> None:
    """Answer a request.

    Parameters
    ----------
    link : Link
        Where it came from.
    sender : Sender
        Who was asked.
    request : Message
        The request; has a QN.
    refused : str or None
        From `refusal`.
    work : callable
        Does what was asked for; the last ExeRtn that it yields is told, without one that there is no data.
    """
    assert request.qn is not None
    await link.send(reply(sender, "9011", request.qn, {"QnRtn": refused or READY}))
    if refused is not None:
        return
    done = NO_DATA
    async for outcome in work():
        done = outcome
    await link.send(reply(sender, "9012", request.qn, {"ExeRtn": done}))
