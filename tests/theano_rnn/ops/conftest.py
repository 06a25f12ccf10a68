"""The operations are tested with the flags with which users compile them."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _flags_of_the_project(flags_of_the_project):
    pass
