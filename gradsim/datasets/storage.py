"""Raw data in one .npz file: what a results directory keeps of arrays given in Python, and the cache.

Numbers as they are, texts as JSON (a NumPy string would lose trailing NULs), nothing pickled. The fingerprint
is kept beside them, so that a file that was changed or cut short is noticed.
"""

from __future__ import annotations

import json

import numpy as np

from gradsim.datasets.checks import one_line
from gradsim.datasets.spec import RawData, fingerprint
from gradsim.errors import GradsimError, UsageError, short
from gradsim.places import Place, write_whole


def save_raw(raw: RawData, path: Place) -> None:
    """Write `raw` to `path` for `load_raw`, making the directories it needs.

    No reader meets half a file (`places.write_whole`). Raises GradsimError where that cannot be done; a file that was
    there before is then left as it was, and nothing temporary remains.
    """
    texts = {
        "task": raw.task,
        "feature_names": raw.feature_names,
        "class_names": raw.class_names,
        "description": raw.description,
        "fingerprint": fingerprint(raw),
    }
    encoded = {key: np.array(json.dumps(value).encode()) for key, value in texts.items()}
    try:
        write_whole(path, lambda sink: np.savez(sink, X=raw.X, y=raw.y, **encoded))
    except OSError as error:
        raise GradsimError(f"{path}: cannot be written: {one_line(error.strerror or error)}") from None


def load_raw(path: Place) -> RawData:
    """The data that `save_raw` wrote to `path`, equal to the last bit.

    Raises UsageError where the file is missing, damaged, or none that `save_raw` wrote.
    """
    try:
        # Opened here because np.load leaves a file that it cannot read open.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            texts = {key: json.loads(stored[key].item()) for key in stored.files if key not in ("X", "y")}
            raw = RawData(
                X=stored["X"],
                y=stored["y"],
                task=texts["task"],
                feature_names=tuple(texts["feature_names"]),
                class_names=tuple(texts["class_names"]),
                description=texts["description"],
            )
            sound = texts["fingerprint"] == fingerprint(raw) and _fits_together(raw)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file of stored data") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {one_line(error.strerror or error)}") from None
    except Exception as error:
        # A damaged archive raises nearly anything: BadZipFile, zlib.error, EOFError, KeyError, ValueError for
        # something pickled, MemoryError for a wild shape, ...
        why = short(one_line(error))
        raise UsageError(f"{path}: is damaged or holds no stored data: {why}") from None
    if not sound:
        raise UsageError(f"{path}: is damaged: the stored data are not those that were written")
    return raw


def _fits_together(raw: RawData) -> bool:
    """Whether types and shapes are those that `RawData` promises."""
    X, y, samples = raw.X, raw.y, len(raw.X)
    if X.dtype != np.float64 or samples < 2 or X.shape != (samples, len(raw.feature_names)):
        return False
    if raw.task == "regression":
        shaped = y.ndim == 2 and len(y) == samples and y.shape[1] > 0
        return shaped and y.dtype == np.float64 and not raw.class_names
    classes = raw.task == "classification" and y.dtype == np.int64 and y.shape == (samples,)
    return classes and y.min() >= 0 and y.max() < len(raw.class_names)
