"""Data sets as the networks see them: loaded, checked, split by seed, scaled on the training split alone.

`DATASETS` lists them; `load` gives the raw numbers and `prepare` the arrays that are trained on. Importing
this loads nothing but NumPy: scikit-learn (1.6 s, 90 MB) and pyarrow come in only with a set that needs them.
"""

from __future__ import annotations

from gradsim.datasets.checks import MAX_BYTES, MAX_FEATURES, MAX_MAGNITUDE, TASKS
from gradsim.datasets.loading import SCALINGS, check_label_noise, load, prepare
from gradsim.datasets.registry import DATASETS, check_parameters
from gradsim.datasets.spec import REQUIRED, Dataset, DatasetSpec, RawData, fingerprint
from gradsim.datasets.split import split_indices
from gradsim.datasets.storage import load_raw, save_raw

__all__ = [
    "DATASETS",
    "MAX_BYTES",
    "MAX_FEATURES",
    "MAX_MAGNITUDE",
    "REQUIRED",
    "SCALINGS",
    "TASKS",
    "Dataset",
    "DatasetSpec",
    "RawData",
    "check_label_noise",
    "check_parameters",
    "fingerprint",
    "load",
    "load_raw",
    "prepare",
    "save_raw",
    "split_indices",
]
