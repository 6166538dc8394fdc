"""The table of data sets, and the check of a set's name and parameters that needs no data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gradsim.datasets import arrays, bundled, files, functions, synthetic
from gradsim.datasets.checks import bounded
from gradsim.datasets.spec import REQUIRED, DatasetSpec
from gradsim.errors import UsageError, did_you_mean, short

_SPECS = (*bundled.SPECS, *synthetic.SPECS, *functions.SPECS, *files.SPECS, *arrays.SPECS)
DATASETS: Mapping[str, DatasetSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def check_parameters(name: str, params: Mapping[str, object] | None = None) -> dict[str, object]:
    """The given parameters of the set `name` over its defaults, each one known and within its bounds.

    Loads nothing and looks at no file: whether a path exists and what it holds is for `load`. Checked
    parameters pass again unchanged. Raises UsageError for an unknown name and an unknown, missing or unfit
    parameter.
    """
    spec = _spec(name)
    resolved = dict(spec.parameters)
    for key, value in (params or {}).items():
        if not resolved:
            raise UsageError(f"data set {name!r}: unknown parameter {short(key)}; it takes none")
        if key not in resolved:
            raise UsageError(f"data set {name!r}: unknown parameter {short(key)}{did_you_mean(key, resolved)}")
        if key in spec.bounds:
            value = bounded(f"data set {name!r}: {key}", value, *spec.bounds[key])
        resolved[key] = value
    for key, value in resolved.items():
        if value is REQUIRED:
            raise UsageError(f"data set {name!r}: parameter {key!r} is required")
    spec.check(**resolved)
    return resolved


def _spec(name: str) -> DatasetSpec:
    if isinstance(name, str) and name in DATASETS:
        return DATASETS[name]
    if isinstance(name, str) and name.lower().endswith(files.SUFFIXES):
        raise UsageError(f'unknown data set {short(name)}; a file is given as the set "file" with its path')
    if isinstance(name, str) and "." in name:
        raise UsageError(f"unknown data set {short(name)}; a file must end in {', '.join(files.SUFFIXES)}")
    raise UsageError(f"unknown data set {short(name)}{did_you_mean(name, DATASETS)}")
