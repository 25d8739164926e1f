from __future__ import annotations

import pytest

from archbench.quick import maps


@pytest.fixture(scope="module", autouse=True)
def _of_all_sizes():
    """Maps of a test are small: let none be left to torch for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "LEAST_VALUES", 0)
        yield
