"""Real sets that come in scikit-learn's wheel, kept in the cache: importing that takes 1.6 s."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradsim.datasets.spec import DatasetSpec, RawData
from gradsim.datasets.storage import load_raw, save_raw
from gradsim.errors import GradsimError, UsageError


def _cache_root() -> Path | None:
    try:
        from gradsim.jit import cache_root
    except ImportError:
        return None
    return cache_root()


def _load(name: str) -> RawData:
    """The set `name`, from the cache where one of this scikit-learn version is there and sound."""
    import importlib.metadata

    try:
        version = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        raise GradsimError(f"data set {name!r} comes with scikit-learn, which is not installed") from None
    root = _cache_root()
    if root is None:
        return _fetch_sklearn(name)
    path = root / "datasets" / f"{name}-scikit-learn-{version}.npz"
    task, description = _SETS[name]
    with contextlib.suppress(UsageError):  # an absent or damaged file is made anew
        return replace(load_raw(path), task=task, description=description)
    raw = _fetch_sklearn(name)
    with contextlib.suppress(GradsimError):  # a full or read-only disk costs the next process a second
        save_raw(raw, path)
    return raw


def _fetch_sklearn(name: str) -> RawData:
    import sklearn.datasets

    # Diabetes in its own units: the default is scaled over all rows, test rows included.
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    task, description = _SETS[name]
    X = np.ascontiguousarray(bunch.data, dtype=np.float64)
    names = tuple(str(n) for n in bunch.feature_names)
    if task == "regression":
        return RawData(X, np.asarray(bunch.target, np.float64).reshape(len(X), -1), task, names, (), description)
    classes = tuple(str(c) for c in bunch.target_names)
    return RawData(X, np.asarray(bunch.target, np.int64), task, names, classes, description)


# name: (task, description)
_SETS = {
    "digits": (
        "classification",
        "1,797 handwritten digits, 8 x 8 pixels of 0 to 16, 10 classes (Alpaydin and Kaynak 1998, UCI).",
    ),
    "iris": (
        "classification",
        "150 iris flowers by 4 lengths and widths in cm, 3 species (Fisher 1936).",
    ),
    "wine": (
        "classification",
        "178 Italian wines by 13 chemical measurements, 3 cultivars (Aeberhard and Forina 1992, UCI).",
    ),
    "breast_cancer": (
        "classification",
        "569 breast tumors by 30 measurements of cell nuclei, malignant or benign (Street et al. 1993, UCI).",
    ),
    "diabetes": (
        "regression",
        "442 diabetes patients by 10 baseline measurements, progression after a year (Efron et al. 2004).",
    ),
    "linnerud": (
        "regression",
        "20 men by chin-ups, sit-ups and jumps; weight, waist and pulse, 3 targets (Tenenhaus 1998).",
    ),
}


def _spec(name: str) -> DatasetSpec:
    task, description = _SETS[name]
    return DatasetSpec(name, task, True, description, lambda seed: _load(name))


SPECS = tuple(_spec(name) for name in _SETS)
