"""No test reads or fills the cache of whoever runs the tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`$TAILTUNE_CACHE` is a temporary folder; a test that counts what is computed takes `store` besides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILTUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
