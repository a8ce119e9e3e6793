from __future__ import annotations

import os

import pytest

from greenmine.evidence.report.font import Font, FontMissingError
from greenmine.registry import Registry
from tests.evidence.bundles import Made
from tests.processing.mine import registry_of


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine with everything: see `tests.processing.mine`."""
    return registry_of(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def font() -> Font:
    """The font of reports: a laptop without it skips, continuous integration fails."""
    try:
        return Font.find()
    except FontMissingError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, font: Font) -> Made:  # noqa: ARG001 - it must be there
    """An installation and its bundle; tests leave both as they are."""
    return Made(tmp_path_factory.mktemp("installation"))
