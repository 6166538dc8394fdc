"""What a data set is: its entry in the table, its raw numbers, and the split and scaled arrays.

Nothing here knows where numbers come from; the modules beside it each bring the entries of one source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np


class _Required:
    """Stands for the default of a parameter that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


def _anything_goes(**parameters: object) -> None:
    """The check of a set whose bounds say it all."""


@dataclass(frozen=True, eq=False)
class DatasetSpec:
    """One entry of `DATASETS`: what it is, what it takes, how to get it.

    `task` is "classification", "regression", or "auto" where the user's data decide. `parameters` maps a name
    to its default (`REQUIRED` where there is none), `bounds` the numeric ones to (type, lowest, highest).
    `check(**parameters)` raises UsageError for what bounds cannot say and needs no data to tell.
    `load(data_seed, **parameters)` gives `RawData`, of parameters that `check_parameters` let pass. `real` is
    False for generated data only.
    """

    name: str
    task: str
    real: bool
    description: str
    load: Callable[..., RawData]
    parameters: Mapping[str, object] = field(default_factory=_nothing)
    bounds: Mapping[str, tuple[type, float, float]] = field(default_factory=_nothing)
    check: Callable[..., None] = _anything_goes


@dataclass(frozen=True, eq=False)
class RawData:
    """Before split and scaling: X float64 [n, features]; y int64 [n] classes, or float64 [n, targets]."""

    X: np.ndarray
    y: np.ndarray
    task: str
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    description: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data as the networks see them, split and scaled.

    X float64 [n, features], C-contiguous; y int64 [n] class indices (classification) or float64 [n, outputs]
    (regression). Training rows are shuffled, so the first k of them are a fair sample. `fingerprint` is that
    of the raw content, before split and scaling.
    """

    name: str
    task: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    description: str
    real: bool
    scaling: str
    fingerprint: str

    @property
    def features(self) -> int:
        """Number of inputs of a network on these data."""
        return self.X_train.shape[1]

    @property
    def outputs(self) -> int:
        """Number of outputs of a network on these data: classes, or regression targets."""
        return len(self.class_names) if self.task == "classification" else self.y_train.shape[1]

    @property
    def train_samples(self) -> int:
        """Rows in the training split."""
        return self.X_train.shape[0]

    @property
    def test_samples(self) -> int:
        """Rows in the test split; may be 0."""
        return self.X_test.shape[0]


def fingerprint(raw: RawData) -> str:
    """16 hexadecimal digits of BLAKE2b over X, y, their shapes, and the feature and class names."""
    digest = hashlib.blake2b(digest_size=8)
    for array in (raw.X, raw.y):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for names in (raw.feature_names, raw.class_names):
        digest.update(repr(tuple(names)).encode())
    return digest.hexdigest()
