"""Files that are replaced as a whole, so that a reader sees the old content or the new one and nothing between; and locks."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def replace(path: Path, content: str | bytes, mode: int, group: int | None = None) -> None:
    """Write a file beside the old one and put it in its place, durably.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : str or bytes
        All of it; text is written as UTF-8.
    mode : int
        Its permissions from the first moment on that it has content, such as ``0o600``.
    group : int or None
        Its group; None: the group of its folder, so that who may read the folder's files can read this one.

    Raises
    ------
    OSError
        It cannot be written, or the caller may not give it that group; the old file is untouched.
    """
    group = path.parent.stat().st_gid if group is None else group
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if os.fstat(file.fileno()).st_gid != group:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: Path, stop: threading.Event | None = None, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that one process of this machine has at a time; it is free again when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        File that stands for it, made if absent (its folder must exist), or a folder.
    stop : Event, optional
        Waiting ends when it is set.
    wait : bool
        Wait while another process holds it.

    Yields
    ------
    bool
        Whether the lock is held; False only if another process holds it and ``stop`` was set, or ``wait`` is False.
    """
    handle = os.open(path, os.O_RDONLY) if path.is_dir() else os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    patient = wait and stop is None
    try:
        held = False
        while not held:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
                held = True
            except BlockingIOError:
                if stop is None or stop.wait(0.2):
                    break
        yield held
    finally:
        os.close(handle)


@contextmanager
def alone(path: Path, error: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a lock that ends with the process; raise ``error`` with the reason if another process holds it."""
    with locked(path, wait=False) as held:
        if not held:
            raise error(f"another process holds {path}: it runs already")
        yield
