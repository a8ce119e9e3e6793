from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.registry import Registry
from tests.processing.mine import registry_of


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine with everything: see `tests.processing.mine`."""
    return registry_of(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of worked examples."""
    folder = Path(__file__).parents[2] / "../shared/data/reference"
    if not folder.exists():
        pytest.skip("the worked examples of ../shared/data/reference are not here")
    return folder
