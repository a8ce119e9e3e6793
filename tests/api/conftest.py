from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine

from greenmine.api.accounts import passwords
from greenmine.loading import load_registry
from greenmine.registry import Registry
from tests.api.filling import fill
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.records import record_in


class Served(NamedTuple):
    client: httpx.Client
    """Sends an administrator's token."""
    engine: Engine
    registry: Registry
    now: int
    data: Path


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Argon2 with the least memory: the same hash, without a tenth of a second and 64 MiB for each password."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASH", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No client reads the certificates of the world's authorities, which takes longer than a request: nothing here is encrypted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Served]:
    """A filled record behind a server, for tests that only read."""
    yield from _served(tmp_path_factory.mktemp("filled"), registry)


@pytest.fixture
def live(tmp_path: Path, registry: Registry) -> Iterator[Served]:
    """A filled record behind a server, for a test that goes on writing."""
    yield from _served(tmp_path, registry)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[httpx.Client]:
    """A server without any record."""
    data = tmp_path_factory.mktemp("bare")
    headers = bearer(token_for(data))
    with (
        serving(data, registry, user_streams=100) as address,
        httpx.Client(base_url=address, headers=headers) as client,
    ):
        yield client


def _served(data: Path, registry: Registry) -> Iterator[Served]:
    now = time.time_ns() // 1_000_000
    engine = fill(record_in(data), registry, now)
    headers = bearer(token_for(data))
    with (
        serving(data, registry, user_streams=100) as address,
        httpx.Client(base_url=address, headers=headers, timeout=20) as client,
    ):
        yield Served(client, engine, registry, now, data)
    engine.dispose()
