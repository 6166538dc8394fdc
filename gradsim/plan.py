"""From a campaign to its runs: cohorts that can share groups, and shards of about a second of work.

Runs are numbered by the product of the axes and never listed: a run is its codes, one value index an axis.
Axes that are plain numbers of a lane (seeds, learning rates, parameters) are looked up by array; the others span
*cells*, combinations that are resolved one by one. Cells whose networks can sit side by side in a group
(`cohort.cohort_key`) form a *cohort*, and a *shard* is some groups of a cohort: the unit of threads, of files and of
resuming.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradsim.axes import Axis, kept_runs, read_axes
from gradsim.choices import Choice
from gradsim.cohort import Cost, check_with_data, cohort_cost, cohort_key, data_key, dataset_of
from gradsim.errors import UsageError
from gradsim.fields import RunFields, table_of
from gradsim.resolve import check_settings, same_run, with_parameters, with_values
from gradsim.run_ids import run_ids

if TYPE_CHECKING:
    from gradsim.campaign import Campaign

# Work of a shard in nominal seconds of one thread, and its size in memory; nominal, never the machine's own, so that a
# directory can be resumed on any machine.
SHARD_SECONDS = 1.0
SHARD_BYTES = 64_000_000
MAX_GROUPS = 2048
MAX_CELLS = 200_000
# What is held of a plan is some 20 bytes a block of runs (see Shard); 50 million still fit beside the work itself.
MAX_BLOCKS = 50_000_000
_PIECE = 100_000


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some runs of a cohort: those from `start` to `stop` in the order of the plan.

    Runs are not listed. Neighbors in the plan that differ only in axes of lanes are a block of `block` runs; `blocks`
    are the numbers of the cohort's, the same array in all of its shards.
    """

    cohort: int
    index: int
    start: int
    stop: int
    block: int
    blocks: np.ndarray

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def positions(self) -> np.ndarray:
        """int64 [len(self)]: the runs' positions in the plan, ascending."""
        return self.positions_of(np.arange(self.start, self.stop))

    def positions_of(self, places: np.ndarray) -> np.ndarray:
        """Positions in the plan of the runs at these places among the cohort's."""
        number, place = np.divmod(places, self.block)
        return self.blocks[number] * self.block + place

    @property
    def name(self) -> str:
        return f"c{self.cohort:04d}-s{self.index:06d}"

    @property
    def mark(self) -> str:
        """The name and a digest of the positions: which runs a file of this shard holds."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.positions, np.int64).tobytes(), digest_size=8)
        return f"{self.name} {digest.hexdigest()}"


class Plan:
    """The runs of a campaign; see the module's text. Raises UsageError for a grid that cannot be run."""

    def __init__(self, campaign: Campaign):
        self.campaign = campaign
        self.axes = read_axes(campaign)
        self.shape = tuple(len(axis) for axis in self.axes)
        self.kept = kept_runs(campaign, self.axes)
        self.size = math.prod(self.shape) if self.kept is None else len(self.kept)
        self.lane_axes = [i for i, axis in enumerate(self.axes) if self._is_lane_axis(axis)]
        self.cell_axes = [i for i in range(len(self.axes)) if i not in self.lane_axes]
        self._cell_shape = tuple(self.shape[i] for i in self.cell_axes)
        if math.prod(self._cell_shape) > MAX_CELLS:
            raise UsageError(
                f"grid: {math.prod(self._cell_shape):,} combinations of settings other than seeds, learning rates and "
                f"activations' parameters; at most {MAX_CELLS:,} are allowed"
            )
        if self.size // self._block > MAX_BLOCKS:
            last = self.axes[max(self.cell_axes)].names[0]
            raise UsageError(
                f"grid: {self.size:,} runs of which at most {self._block:,} neighbors can share a group; give {last} "
                "before seeds, learning rates and activations' parameters"
            )
        for cell in self.used_cells:
            check_settings(campaign, self.cells[cell])
        self._check_lane_axes()
        self._check_that_runs_differ()

    # --- what can be wrong with a grid as a whole -------------------------------------------------

    def _is_lane_axis(self, axis: Axis) -> bool:
        """Whether an axis only changes numbers of a lane: then its runs share one cell."""

        def is_lane(name: str, values: Sequence) -> bool:
            if name == "seed" or name.startswith(("loss.", "optimizer.", "schedule.")):
                return True
            if name == "learning_rate":
                return all(len(v) == 1 for v in values)
            if name.startswith("activation."):
                return not self._mixed_activations and name.partition(".")[2] not in self._shape_parameters
            return name.startswith("learning_rate.")

        return all(is_lane(n, v) for n, v in zip(axis.names, axis.values, strict=True))

    @cached_property
    def _mixed_activations(self) -> bool:
        """Whether some run has a list of activations."""
        return any(len(given) > 1 for given in self._given_activations())

    @cached_property
    def _shape_parameters(self) -> set[str]:
        """Parameters of activations that a network's shape depends on."""
        table = table_of("activation")
        return {p for given in self._given_activations() for c in given for p in table[c.name].with_role("shape")}

    def _given_activations(self) -> list[tuple[Choice, ...]]:
        return [self.campaign.activation, *self.varied("activation")]

    def _check_lane_axes(self) -> None:
        """Bounds of parameters, of which cells show the first value only."""
        for axis in (self.axes[i] for i in self.lane_axes):
            for name, values in zip(axis.names, axis.values, strict=True):
                field, dot, _ = name.partition(".")
                if dot and field != "learning_rate":
                    for cell in {getattr(self.cells[c], field): self.cells[c] for c in self.used_cells}.values():
                        positive = [v for v in values if v > 0]
                        for value in {min(values), max(values), min(positive, default=0)}:
                            check_settings(self.campaign, with_parameters(cell, {name: value}))

    def _check_that_runs_differ(self) -> None:
        """A run has one place in the grid: no axis may be without effect, such as the width at depth 0."""
        seen: dict[tuple, int] = {}
        for number in self.used_cells:
            before = seen.setdefault(same_run(self.cells[number]), number)
            if before != number:
                codes = [np.unravel_index(n, self._cell_shape) for n in (before, number)]
                names = [
                    ", ".join(self.axes[i].names) for i, a, b in zip(self.cell_axes, *codes, strict=True) if a != b
                ]
                where = f", with depth {len(self.cells[number].widths)}" if "depth" in self.axis_names else ""
                raise UsageError(
                    f"grid: two values of {' and of '.join(names)} give the same runs{where}; "
                    "leave one of them out, or out by exclude"
                )
        rates = {n for i in self.lane_axes for n in self.axes[i].names if n.startswith("learning_rate")}
        shallowest = min(len(self.cells[c].widths) for c in self.used_cells)
        if "learning_rate" in rates and {f"learning_rate.{k}" for k in range(shallowest + 1)} <= rates:
            raise UsageError("grid.learning_rate: has no effect, every layer has an axis of its own")

    def check_data(self) -> None:
        """Whether data, losses, batches and networks fit, for all runs. Raises UsageError."""
        cohorts = self.cohort_of_cell[self.used_cells]
        for first in np.unique(cohorts, return_index=True)[1]:
            check_with_data(self.cells[self.used_cells[first]])

    # --- runs -------------------------------------------------------------------------------------

    @property
    def axis_names(self) -> list[str]:
        """Every name that varies, in the order of the grid."""
        return [name for axis in self.axes for name in axis.names]

    def varied(self, name: str) -> Sequence:
        """The values that an axis gives a setting; none where it does not vary."""
        found = (v for axis in self.axes for n, v in zip(axis.names, axis.values, strict=True) if n == name)
        return next(found, ())

    @cached_property
    def listed_rates(self) -> int:
        """The layers of the longest list of learning rates where several are values of an axis, else 0: a single one is
        told from numbers by having none."""
        lists = {rates for rates in self.varied("learning_rate") if len(set(rates)) > 1}
        return max(map(len, lists)) if len(lists) > 1 else 0

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """int64 [n, axes]: the value index on each axis."""
        flat = positions if self.kept is None else self.kept[positions]
        if not self.axes:
            return np.zeros((len(positions), 0), np.int64)
        return np.stack(np.unravel_index(flat, self.shape), axis=1)

    def cell_numbers(self, codes: np.ndarray) -> np.ndarray:
        """Which cell each run belongs to."""
        if not self.cell_axes:
            return np.zeros(len(codes), np.int64)
        return np.ravel_multi_index([codes[:, i] for i in self.cell_axes], self._cell_shape)

    def _pieces(self, stride: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(positions, cell numbers) of every stride-th run, a piece at a time to spare memory."""
        for start in range(0, self.size, stride * _PIECE):
            positions = np.arange(start, min(start + stride * _PIECE, self.size), stride)
            yield positions, self.cell_numbers(self.codes(positions))

    @cached_property
    def used_cells(self) -> list[int]:
        """Numbers of the cells that have runs."""
        if self.kept is None:
            return list(range(math.prod(self._cell_shape)))
        used = np.zeros(math.prod(self._cell_shape), bool)
        for _, cells in self._pieces():
            used[cells] = True
        return np.flatnonzero(used).tolist()

    @cached_property
    def cells(self) -> list[RunFields]:
        """The settings of each cell; lane axes stand at their first value."""
        out = []
        for number in range(math.prod(self._cell_shape)):
            codes = [0] * len(self.axes)
            for axis, code in zip(self.cell_axes, np.unravel_index(number, self._cell_shape), strict=True):
                codes[axis] = int(code)
            out.append(self._resolve(codes))
        return out

    def _resolve(self, codes: Sequence[int]) -> RunFields:
        values = {
            name: values[code]
            for axis, code in zip(self.axes, codes, strict=True)
            for name, values in zip(axis.names, axis.values, strict=True)
        }
        return with_values(self.campaign, values)

    def settings(self, position: int) -> RunFields:
        """The resolved settings of one run."""
        return self._resolve([int(c) for c in self.codes(np.array([position]))[0]])

    def settings_for(self, run_id: str | None, what: str) -> RunFields:
        """The settings of a run, or of any where all runs have the same `what`: "data" or "batches"."""
        if run_id is not None:
            return self.settings(self.position(run_id))
        keys = {data_key(self.cells[c], what) for c in self.used_cells}
        if len(keys) > 1:
            raise UsageError(f"{what} differ between the runs of this campaign; give a run_id")
        return self.cells[self.used_cells[0]]

    # --- names of runs ----------------------------------------------------------------------------

    def run_ids(self, positions: np.ndarray) -> np.ndarray:
        """str [n]: 16 hexadecimal digits from the resolved settings and the campaign seed alone."""
        return run_ids(self, positions)

    @cached_property
    def _ids(self) -> list[np.ndarray]:
        """The ids of all runs as numbers, 8 bytes a run; kept where a replay may ask again."""
        return list(self._id_pieces())

    def _id_pieces(self) -> Iterator[np.ndarray]:
        """The ids of all runs as numbers, in the order of the plan."""
        for start in range(0, self.size, _PIECE):
            ids = self.run_ids(np.arange(start, min(start + _PIECE, self.size)))
            yield np.array([int(run_id, 16) for run_id in ids.tolist()], np.uint64)

    def position(self, run_id: str) -> int:
        """The position of a run; UsageError where the campaign has none of that id."""
        if re.fullmatch("[0-9a-f]{16}", str(run_id)):
            wanted = np.uint64(int(run_id, 16))
            for k, ids in enumerate(self._ids if self.size <= MAX_BLOCKS else self._id_pieces()):
                places = np.flatnonzero(ids == wanted)
                if len(places):
                    return k * _PIECE + int(places[0])
        raise UsageError(f"run_id {run_id!r} is not of this campaign; results.runs lists them")

    # --- cohorts and shards -----------------------------------------------------------------------

    @cached_property
    def cohort_of_cell(self) -> np.ndarray:
        """int [cells]: cohorts numbered in order of appearance."""
        numbers: dict[tuple, int] = {}
        return np.array([numbers.setdefault(cohort_key(cell), len(numbers)) for cell in self.cells])

    @cached_property
    def cohort_cells(self) -> dict[int, RunFields]:
        """A cell of each cohort that has runs."""
        out: dict[int, RunFields] = {}
        for number in self.used_cells:
            out.setdefault(int(self.cohort_of_cell[number]), self.cells[number])
        return out

    @cached_property
    def costs(self) -> dict[int, Cost]:
        """What the networks of each cohort cost."""
        return {number: cohort_cost(self.campaign, cell) for number, cell in self.cohort_cells.items()}

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards; their number and content depend on the campaign alone."""
        block = self._block
        cohorts = np.concatenate([self.cohort_of_cell[cells].astype(np.int32) for _, cells in self._pieces(block)])
        order = np.argsort(cohorts, kind="stable")
        ends = np.cumsum(np.bincount(cohorts))
        out = []
        for cohort, cost in sorted(self.costs.items()):
            mine = order[ends[cohort - 1] if cohort else 0 : ends[cohort]]
            groups = min(SHARD_SECONDS / cost.group_seconds, SHARD_BYTES / cost.group_bytes, MAX_GROUPS)
            size, count = max(1, round(groups)) * cost.lanes, len(mine) * block
            starts = range(0, count, size)
            out += [Shard(cohort, k, i, min(i + size, count), block, mine) for k, i in enumerate(starts)]
        return out

    @cached_property
    def _block(self) -> int:
        """How many neighbors surely share a cell: those that differ in the last axes alone, all of lanes."""
        if self.kept is not None:
            return 1
        return math.prod(self.shape[max(self.cell_axes, default=-1) + 1 :])

    def nominal_seconds(self) -> float:
        """Work of all shards for one thread at the nominal speed."""
        return sum(map(self.shard_seconds, self.shards))

    def shard_seconds(self, shard: Shard) -> float:
        """Work of a shard for one thread at the nominal speed."""
        return self.costs[shard.cohort].group_seconds * self.groups(shard)

    def groups(self, shard: Shard) -> int:
        """How many groups of lanes a shard takes."""
        return -(-len(shard) // self.costs[shard.cohort].lanes)

    def fingerprints(self) -> list[str]:
        """Digests of the content of every data set that runs use, in order of appearance."""
        cells = {data_key(self.cells[c]): self.cells[c] for c in self.used_cells}
        return list(dict.fromkeys(dataset_of(cell).fingerprint for cell in cells.values()))

    def describe_networks(self) -> str:
        """`64-[32]x5-10`, or several where they differ."""
        shapes = {}
        for number in self.used_cells[:1000]:
            cell = self.cells[number]
            data = dataset_of(cell)
            shapes[describe(data.features, cell.widths, data.outputs)] = None
        names = list(shapes)
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def describe(features: int, widths: Sequence[int], outputs: int) -> str:
    """A network's shape in short: `64-[32]x5-10`."""
    same = len(set(widths)) == 1 and len(widths) > 2
    middle = [f"[{widths[0]}]x{len(widths)}"] if same else [str(w) for w in widths]
    return "-".join([str(features), *middle, str(outputs)])
