"""A campaign: what to run, and everything that can be asked of it before or after.

The fields of a run come from `gradsim.fields`; a `Campaign` adds the grid and what concerns all runs. All of it is
checked when it is made, with errors of one line, except what needs the data: they are read when first used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import BeforeValidator, Field

from gradsim import tomlfile
from gradsim.axes import axis_values, value_key
from gradsim.choices import Choice
from gradsim.cohort import batch_indices, data_arrays
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.fields import OWN_DATA, Flag, RunFields, Seed, Thresholds, explain, number, table_of, whole
from gradsim.jit import function_digest
from gradsim.places import place_of
from gradsim.plan import Plan

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from gradsim.replay import Replay
    from gradsim.results import Results


# --- how the fields are read ----------------------------------------------------------------------


def _read_name(value: object) -> str:
    """The name is that of the results directory: one printable line that leads nowhere else."""
    if isinstance(value, str) and 1 <= len(value) <= 100 and value.isprintable() and value.strip() == value:
        if value not in (".", "..") and not set(value) & set("/\\:"):
            return value
    raise UsageError(
        f"name = {short(value)}: must be 1 to 100 printable characters without / \\ and :, for it names a directory"
    )


def read_checkpoints(value: object) -> tuple[int, ...] | None:
    """Steps in ascending order, each once; UsageError for anything but a list of them, or None."""
    if value is None:
        return None
    value = _python(value)
    if isinstance(value, list | tuple | range) and all(isinstance(s, int) and not isinstance(s, bool) for s in value):
        if all(s >= 0 for s in value):
            return tuple(sorted(set(value)))
    raise UsageError(f"checkpoints = {short(value)}: must be a list of steps, whole numbers of at least 0")


def _read_groups(value: object) -> object:
    return [value] if isinstance(value, Mapping) else value


Groups = Annotated[list[dict[str, Any]], BeforeValidator(_read_groups)]


class Campaign(RunFields):
    """What to run: the settings that all runs share, and the grid of those that vary.

    Attributes beside the run's fields:
        name: of the campaign.
        grid: axis -> values; the product of all axes is run. An axis is a field, a parameter by its dotted name
            (`"activation.slope"`, `"learning_rate.0"`), its values a list, `{geomspace = [low, high, count]}`,
            `{linspace = [low, high, count]}` or `{range = count}`. An axis stands before the field of its name.
        zip: groups of axes that vary together, each group one factor of the product.
        exclude: partial settings; runs that match any are left out.
        campaign_seed: keys all random numbers.
        checkpoints: steps at which layers are recorded; by default a 1-3-10 ladder. 0, the step after two thirds,
            and the last are always among them.
        store: what is kept of every run: "layers" (statistics of layers, loss curves and the run), "curves" or "runs".
        probe_samples: training samples that layers are recorded over, at most.
        sharpness: whether to measure the largest eigenvalue of the Hessian of the loss over these samples, at every
            checkpoint; seven checkpoints take about as long as a thousand steps.
        target: a run converged when its full training loss was at most this share of the way from the least loss that
            there can be, mostly 0, to that of the best constant prediction.
        thresholds: where outcomes and diagnoses begin.

    Raises UsageError, in one line, for anything that cannot be run.
    """

    name: Annotated[str, BeforeValidator(_read_name)] = "campaign"
    campaign_seed: Seed = 0
    grid: dict[str, Any] = Field(default_factory=dict)
    zip: Groups = Field(default_factory=list)
    exclude: Groups = Field(default_factory=list)
    checkpoints: Annotated[Any, BeforeValidator(read_checkpoints)] = None
    store: Literal["runs", "curves", "layers"] = "layers"
    probe_samples: whole(1, 1_000_000) = 256
    sharpness: Flag = False
    target: number(gt=0, lt=1) = 0.1
    thresholds: Thresholds = Field(default_factory=Thresholds)

    def __init__(self, **fields: object):
        for key in fields:
            if key not in type(self).model_fields:
                raise UsageError(f"unknown key {short(key)}{did_you_mean(key[:100], type(self).model_fields)}")
        try:
            super().__init__(**_python(fields))
            _ = self.plan  # everything about the grid is checked at once
        except pydantic.ValidationError as error:
            raise UsageError(explain(error)) from None
        except RecursionError:
            raise UsageError("campaign: values are nested too deeply") from None
        shaped = self.model_fields_set & {"depth", "width"}
        if shaped and (self.hidden is not None or "hidden" in self.plan.axis_names):
            raise UsageError(f"{min(shaped)}: give either hidden, or depth and width, not both")
        if self.sharpness and self.store == "runs":
            raise UsageError('sharpness: stands in the curves, which store = "runs" leaves out; give store = "curves"')

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Campaign:
        """A campaign with some fields changed, checked like any other."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**given | dict(update or {}))

    # --- what it will do --------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan:
        """The runs: axes, cohorts and shards."""
        return Plan(self)

    @property
    def runs(self) -> int:
        """How many runs the grid has."""
        return self.plan.size

    def run(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        client: Client | None = None,
        progress: bool = True,
    ) -> Results:
        """Run what is not yet in the directory `path`; the results, complete.

        threads: worker threads, by default as many as there are cores. client: of a Dask cluster, whose workers train
        instead; `path` is then a directory that all of them reach (docs/cluster.md). `path` may be a URL, as
        s3://BUCKET/DIR. Raises UsageError where the data do not fit, the directory holds another campaign or cannot be
        written, and GradsimError where another process is at work on it. Ctrl-C keeps every finished shard; calling
        again resumes.
        """
        from gradsim.runner import run

        return run(self, place_of(path), threads=threads, client=client, progress=progress)

    # --- runs in detail, for anyone who wants to check them ---------------------------------------

    def data(self, run_id: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`X_train, y_train, X_test, y_test` as the networks see them, in the run's precision.

        run_id: needed only where data differ between runs.
        """
        return data_arrays(self.plan.settings_for(run_id, "data"))

    def batch_indices(self, run_id: str | None = None) -> np.ndarray:
        """int [steps, batch]: the rows of `X_train` that each step takes. run_id: where they differ."""
        return batch_indices(self, self.plan.settings_for(run_id, "batches"))

    def initial_weights(self, run_id: str) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """`[(W [fan_in, fan_out], b [fan_out]), ...]` of a run before its first step; b is None without biases."""
        from gradsim.replay import initial_weights

        return initial_weights(self, run_id)

    def replay(self, run_id: str, checkpoints: list[int] | None = None) -> Replay:
        """Train one run again, bit for bit, and keep its whole history; see `gradsim.replay.Replay`."""
        from gradsim.replay import replay

        return replay(self, run_id, checkpoints)

    def theory(self, run_id: str | None = None) -> pd.DataFrame:
        """What theory expects before the first step: axes, layer and the columns of `results.layers`.

        One row a layer for each setting that theory tells apart, or of one run. See `gradsim.theory.campaigns`.
        """
        from gradsim.theory.campaigns import of_campaign

        return of_campaign(self, run_id)

    # --- in and out -------------------------------------------------------------------------------

    @classmethod
    def from_toml(cls, path: str | Path) -> Campaign:
        """Read a campaign from a TOML file; a data file's path is relative to the TOML's directory."""
        path = place_of(path)
        fields = tomlfile.read(path)
        fields.setdefault("name", path.stem)
        try:
            return cls(**tomlfile.with_absolute_paths(fields, path.parent))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """The resolved campaign as TOML, which `from_toml` reads back to the same runs.

        Raises UsageError where data are arrays, which TOML cannot hold; `run` stores them beside the results.
        """
        if self.dataset.name == "arrays" and not {"X", "stored"} & set(_plain_choice(self.dataset)):
            raise UsageError("dataset: arrays cannot be written as TOML; save them as a CSV or Parquet file")
        return tomlfile.dumps(self.resolved())

    def resolved(self) -> dict[str, object]:
        """Every field, defaults included, as plain values that TOML can hold; axes in the order of the grid."""
        varied = set(self.plan.axis_names)
        if self.hidden is not None or "hidden" in varied:
            varied |= {"depth", "width"}
        apart = {"name", "grid", "zip", "exclude"} | varied
        fields = {"name": self.name}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name not in apart and value is not None:
                fields[name] = _plain_value(name, value)
        columns = {n: v for axis in self.plan.axes for n, v in zip(axis.names, axis.values, strict=True)}
        fields["grid"] = {name: _plain_axis(name, given, columns[name]) for name, given in self.grid.items()}
        fields["zip"] = [{n: _plain_axis(n, g, columns[n]) for n, g in group.items()} for group in self.zip]
        fields["exclude"] = [{n: _plain_rule(n, v) for n, v in rule.items()} for rule in self.exclude]
        return {k: v for k, v in fields.items() if v != [] or k not in ("zip", "exclude")}

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any setting that changes a number or a run's place; the data's content
        and a user's own activations are part, the name is not."""
        parts = [self._settings_text, self.plan.fingerprints(), self.own_functions()]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()

    @cached_property
    def _settings_text(self) -> str:
        """All settings in a form that does not depend on how they were written, nor on where data files lie."""
        kept = {k: v for k, v in self.resolved().items() if k not in ("name", "dataset", "grid", "zip", "exclude")}
        if not kept["sharpness"]:  # as before there was such a probe
            del kept["sharpness"]
        kept["axes"] = [[axis.names, [_axis_key(v) for v in axis.values]] for axis in self.plan.axes]
        kept["runs"] = None if self.plan.kept is None else hashlib.blake2b(self.plan.kept.tobytes()).hexdigest()
        return json.dumps(kept, sort_keys=True)

    def own_functions(self) -> dict[str, str]:
        """Digests of activations that are not the package's."""
        names = {choice.name for number in self.plan.used_cells for choice in self.plan.cells[number].activation}
        functions = {name: table_of("activation")[name].function for name in names}
        return {
            name: function_digest(function).hex()
            for name, function in functions.items()
            if not (function.__module__ or "").startswith("gradsim.")
        }

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis.names[0]} x{len(axis)}" for axis in self.plan.axes)
        return f"<Campaign {self.name!r}: {self.runs:,} runs; {axes or 'no grid'}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from gradsim.notebook import campaign_html

        return campaign_html(self)


# --- plain values ---------------------------------------------------------------------------------


def _axis_key(values: Sequence) -> object:
    """An axis for the digest: numbers in equal steps as such, whether a list or a range."""
    if len(values) > 1 and (isinstance(values, range) or all(type(v) is int for v in values)):
        step = values[1] - values[0]
        if isinstance(values, range) or all(b - a == step for a, b in pairwise(values)):
            return {"range": [values[0], len(values), step]}
    own = [isinstance(v, Choice) and v.name in OWN_DATA for v in values]
    return ["own data" if theirs else value_key(v) for v, theirs in zip(values, own, strict=True)]


def _python(value: object) -> object:
    """NumPy's and pandas' numbers and vectors as Python's; data sets as they are, for arrays are their content."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: v if k == "dataset" else _python(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_python, value)) if type(value) in (list, tuple) else list(map(_python, value))
    if getattr(value, "ndim", None) in (0, 1) and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _plain(value: object) -> object:
    """A value that has been read, in a form that TOML can hold."""
    if isinstance(value, Choice):
        return _plain_choice(value) if value.name in OWN_DATA else value.label
    if isinstance(value, pydantic.BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _plain_choice(choice: Choice) -> dict[str, object]:
    """A data set as a table; arrays are left out."""
    plain = str | int | float | list
    return {"name": choice.name} | {k: v for k, v in choice.params if isinstance(v, plain)}


def _plain_value(name: str, value: object) -> object:
    """A field's value; activations and rates that are the same in all layers stand alone."""
    if name in ("activation", "learning_rate") and len(value) == 1:
        return _plain(value[0])
    return _plain(value)


def _plain_axis(name: str, given: object, values: Sequence) -> object:
    """An axis as it was written where that was short, else its values."""
    if isinstance(given, Mapping):
        return _plain(given)
    if isinstance(values, range):
        bounds = [values.start, values.stop, values.step]
        return {"range": values.stop if bounds[::2] == [0, 1] else bounds}
    return [_plain_value(name, v) for v in values]


def _plain_rule(name: str, given: object) -> list:
    """What a rule of `exclude` says of an axis."""
    chosen = given if isinstance(given, list | tuple | range) else [given]
    return [_plain_value(name, v) for v in axis_values(name, chosen, f"exclude.{name}", distinct=False)]


__all__ = ["Campaign", "RunFields", "Thresholds"]
