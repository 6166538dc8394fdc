"""A results directory: whose it is, who is at work on it, and what it says about how it was made."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gradsim import locks, tomlfile
from gradsim.activations import ACTIVATIONS
from gradsim.activations.symbolic import formula_of
from gradsim.campaign import Campaign
from gradsim.cohort import dataset_of
from gradsim.datasets import load, save_raw
from gradsim.errors import UsageError, short
from gradsim.locks import LOCK_FILE
from gradsim.places import Place, write_whole
from gradsim.results import CAMPAIGN_FILE, INFO_FILE, Results
from gradsim.versions import cpu_name, package_version

ARRAYS_FILE = "data.npz"
_STORED_ARRAYS = {"name": "arrays", "stored": ARRAYS_FILE}
_PACKAGES = ("gradsim", "numba", "numpy", "pandas", "pyarrow")


@contextlib.contextmanager
def opened(campaign: Campaign, path: Place, show: bool = False) -> Iterator[Callable[[], None]]:
    """The directory `path`, made where it is missing, for this process and this campaign alone.

    Gives what raises GradsimError once that is no longer so; show: whether to say that another process is waited for.
    Raises UsageError where it holds something else or cannot be written, GradsimError where another process is at work.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = [p.name for p in path.iterdir() if p.name not in (LOCK_FILE, INFO_FILE) and not p.name.startswith(".")]
        if names and CAMPAIGN_FILE not in names:
            raise UsageError(f"{path}: is not empty and holds no {CAMPAIGN_FILE}; give an empty or a new directory")
        with locks.held(path, show) as check:
            if (path / CAMPAIGN_FILE).exists():
                _check_same(campaign, path)
            else:
                _write(path / CAMPAIGN_FILE, _to_toml(campaign, path))
                write_info(campaign, path)
            yield check
    except FileExistsError:
        raise UsageError(f"{path}: is a file; give a directory for the results") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None


def _to_toml(campaign: Campaign, path: Place) -> str:
    """The resolved campaign; arrays given in Python are stored beside it."""
    fields = stored_fields(campaign)
    if fields.get("dataset") is _STORED_ARRAYS:
        save_raw(load("arrays", campaign.dataset.values), path / ARRAYS_FILE)
    return tomlfile.dumps(fields)


def stored_fields(campaign: Campaign) -> dict[str, object]:
    """The resolved campaign as it stands in its directory, where arrays given in Python are a file."""
    fields, data = campaign.resolved(), campaign.dataset
    if data.name == "arrays" and data.values["stored"] is None and "dataset" in fields:
        fields["dataset"] = _STORED_ARRAYS
    return fields


# --- is it this campaign's? -----------------------------------------------------------------------


def _check_same(campaign: Campaign, path: Place) -> None:
    stored = Results(path)
    recorded = stored.info.get("digest")
    if recorded == campaign.digest:
        return
    before = stored.campaign
    if recorded is None and before.digest == campaign.digest:  # written, but interrupted before its info was
        write_info(campaign, path)
        return
    differing = _differences(before, campaign)
    if stored.info.get("fingerprints") not in (None, campaign.plan.fingerprints()):
        other = f"{before.dataset.name}, are {campaign.dataset.name}"
        differing.append("the data" if before.dataset.name == campaign.dataset.name else f"the data were {other}")
    what = "; ".join(differing) or "the version of gradsim, or a function of your own"
    raise UsageError(f"{path}: holds another campaign; differing: {what}; give another directory")


def _differences(before: Campaign, now: Campaign) -> list[str]:
    """What differs, by name, with the values where they are short."""
    a, b = before.resolved(), now.resolved()
    fields = [k for k in dict.fromkeys([*a, *b]) if k not in ("name", "dataset", "grid", "zip", "thresholds")]
    out = [f"{k} was {short(a[k])}, is {short(b[k])}" for k in fields if k in a and k in b and a[k] != b[k]]
    limits, others = a["thresholds"], b["thresholds"]
    out += [f"thresholds.{k} was {limits[k]}, is {others[k]}" for k in limits if limits[k] != others[k]]
    axes_before, axes_now = ({axis.names: axis.values for axis in campaign.plan.axes} for campaign in (before, now))
    for names in dict.fromkeys([*axes_before, *axes_now]):
        label = f"the axis {', '.join(names)}"
        if names not in axes_now or names not in axes_before:
            out.append(f"{label} {'is gone' if names in axes_before else 'is new'}")
        elif list(map(list, axes_before[names])) != list(map(list, axes_now[names])):
            out.append(label)
    if not out and list(axes_before) != list(axes_now):
        out.append(f"the order of the axes was {', '.join(before.plan.axis_names)}")
    out += [f"{k} is {'gone' if k in a else 'new'}" for k in ("exclude", "checkpoints") if (k in a) != (k in b)]
    return out


# --- files ----------------------------------------------------------------------------------------


def _write(path: Place, text: str) -> None:
    write_whole(path, lambda sink: sink.write(text.encode()))


def write_info(campaign: Campaign, path: Place, seconds: float = 0.0, threads: int = 0) -> None:
    """Say how the results were made; `seconds` of work are added to those before."""
    plan = campaign.plan
    data = dataset_of(plan.cells[plan.used_cells[0]])
    before = Results(path).info.get("seconds", 0.0)
    program = Path(sys.argv[0]).stem if sys.argv else ""
    info = {
        "digest": campaign.digest,
        "fingerprints": plan.fingerprints(),
        "own_activations": [name for name in campaign.own_functions() if not formula_of(ACTIVATIONS[name])],
        "command": shlex.join(["gradsim", *sys.argv[1:]]) if program in ("gradsim", "__main__") else "",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": (before if isinstance(before, int | float) else 0.0) + seconds,
        "threads": threads,
        "cores": os.cpu_count(),
        "cpu": cpu_name(),
        "versions": {name: package_version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "data": data.description,
        "task": data.task,
        "real": data.real,
        "train_samples": data.train_samples,
        "test_samples": data.test_samples,
        "networks": plan.describe_networks(),
    }
    _write(path / INFO_FILE, json.dumps(info, indent=1))
