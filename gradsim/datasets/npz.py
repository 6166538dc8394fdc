"""NumPy's .npz files: two arrays by name, read without unpickling anything."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gradsim.datasets.arrays import from_arrays
from gradsim.datasets.checks import check_size, one_line
from gradsim.datasets.spec import RawData
from gradsim.errors import UsageError, did_you_mean, short

FEATURES, TARGET = "X", "y"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(source: str, file: Path, features: str | None, target: str | None, task: str) -> RawData:
    """The arrays called `features` ("X" where that is None) and `target` ("y"), as `from_arrays` takes them.

    Raises UsageError where the file is damaged, has no such arrays, or they cannot be trained on.
    """
    names = {"features": FEATURES if features is None else features, "target": TARGET if target is None else target}
    try:
        with zipfile.ZipFile(file) as archive:
            found = [name.removesuffix(".npy") for name in archive.namelist()]
            for parameter, name in names.items():
                if name not in found:
                    hint = did_you_mean(str(name)[:100], found) if found else "; it holds none"
                    raise UsageError(f"{source}: {parameter} = {short(name)} is not an array of the file{hint}")
            X, y = (_array(archive, source, name) for name in names.values())
    except UsageError:
        raise
    except Exception as error:
        # A damaged archive raises nearly anything: BadZipFile, zlib.error, EOFError, KeyError, struct.error, ...
        raise UsageError(f"{source}: is not a readable .npz file: {short(one_line(error))}") from None
    return from_arrays(source, X, y, task)


def _array(archive: zipfile.ZipFile, source: str, name: str) -> Any:
    """One array, after a look at what it is and how large."""
    with archive.open(f"{name}.npy") as member:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
    if dtype.hasobject:
        raise UsageError(f"{source}: array {short(name)} holds Python objects; numbers or text are needed")
    check_size(source, shape[0] if shape else 1, int(np.prod(shape[1:], dtype=object)))
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)
