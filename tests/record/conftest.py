from __future__ import annotations

import pytest

from greenmine.registry import Registry
from tests.processing.mine import registry_of


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine with everything: see `tests.processing.mine`."""
    return registry_of(tmp_path_factory.mktemp("registry"))
