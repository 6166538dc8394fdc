"""What the tests of the data sets share: a cache of their own, CSV files, and the one-line refusal."""

from __future__ import annotations

import pytest

from gradsim.datasets import bundled, load
from gradsim.errors import UsageError

BUNDLED = {  # name: samples, features, samples a class; from the data sets' own documentation
    "digits": (1797, 64, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
    "iris": (150, 4, [50, 50, 50]),
    "wine": (178, 13, [59, 71, 48]),
    "breast_cancer": (569, 30, [212, 357]),
    "diabetes": (442, 10, []),
    "linnerud": (20, 3, []),
}
SYNTHETIC = (
    *("spirals", "moons", "circles", "xor", "blobs", "random_labels"),
    *("polynomial", "step_function", "teacher"),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """One cache for the whole test session, not the user's."""
    monkeypatch.setattr(bundled, "_cache_root", lambda: tmp_path_factory.getbasetemp() / "cache")


def refuses(*fragments: str, call, error: type = UsageError) -> str:
    """`call` raises `error` with one line that holds every fragment."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message
    return message


def csv_file(tmp_path, text: str | bytes, name: str = "data.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load_csv(tmp_path, text: str | bytes, **options):
    return load("file", {"path": csv_file(tmp_path, text), **options})
