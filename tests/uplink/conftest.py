from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.registry import Registry
from tests.processing.mine import registry_of
from tests.uplink.uplink_site import MINE


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the registry of a small mine with dust, noise, weather and water."""
    folder = tmp_path_factory.mktemp("registry")
    registry_of(folder, {"mine": ("Asia/Shanghai", MINE)})
    return folder


@pytest.fixture(scope="session")
def registry(registry_folder: Path) -> Registry:
    from greenmine.loading import load_registry  # noqa: PLC0415

    return load_registry(registry_folder)
