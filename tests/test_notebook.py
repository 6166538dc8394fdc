"""The tutorial: kept without outputs, runs from top to bottom, and what its text says of the numbers is so."""

from __future__ import annotations

import ast
import json
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
# Appended to the tutorial: the numbers that its text is about, for `said`.
NUMBERS = """
import json

_cells = by_rate.set_index(["activation", "initializer", "learning_rate"])
_share = start.set_index(["initializer", "layer"]).share
_delta = flow.set_index(["initializer", "layer"])["median"]
print(json.dumps({
    "runs": len(results.runs),
    "converged": {" ".join(map(str, k)): int(v) for k, v in _cells.converged.items()},
    "of": sorted(set(_cells.n)),
    "saturated": {f"{i} {layer}": v for (i, layer), v in _share.items()},
    "delta": {i: [_delta[i, layer] for layer in range(6)] for i in ("glorot_uniform", "normal(std=1)")},
    "chi1": [gs.theory.chi1("sigmoid", 1.0), gs.theory.chi1("sigmoid", 32**0.5)],
    "stuck": float(stuck.loss[-20:].mean()),
    "moving": float(moving.loss[-20:].mean()),
    "recorded": float(recorded),
}))
"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(TUTORIAL, as_version=4)


def executed(notebook, place: Path):
    """The tutorial after it ran in an empty directory, with a last cell that prints its numbers."""
    copy = nbformat.from_dict(notebook)
    copy.cells.append(nbformat.v4.new_code_cell(NUMBERS))
    NotebookClient(copy, timeout=300, resources={"metadata": {"path": str(place)}}).execute()
    return copy


def test_it_is_kept_without_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_it_runs_and_what_it_says_is_so(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PYTHONPATH", str(TUTORIAL.parents[1]))
    done = executed(notebook, tmp_path)
    assert (tmp_path / "results/first/report/index.html").stat().st_size > 10_000
    _values_are_shown(done)
    said = json.loads(done.cells[-1].outputs[0].text)
    assert said["runs"] == 2 * 3 * 3 * 8
    assert said["of"] == [8]
    _who_converged(said["converged"])
    _saturation(said["saturated"])
    _error_signals(said)
    assert said["recorded"] == pytest.approx(said["stuck"], rel=1e-12)
    assert abs(said["stuck"] - 2.303) < 0.1
    assert said["moving"] < 1


def _values_are_shown(done) -> None:
    code = [cell for cell in done.cells[:-1] if cell.cell_type == "code"]
    shown = [c for c in code if isinstance(ast.parse(c.source.replace("%matplotlib inline", "")).body[-1], ast.Expr)]
    assert len(shown) > 10
    for cell in shown:
        assert cell.outputs, cell.source
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) == 4


def _who_converged(converged: dict[str, int]) -> None:
    """All or none of a cell; with sigmoid only the large weights, with tanh only the modest ones."""
    best = {}
    for setting, count in converged.items():
        assert count <= 1 or count >= 7, setting
        key = setting.rpartition(" ")[0]
        best[key] = max(best.get(key, 0), count)
    assert len(best) == 6
    assert {key for key, count in best.items() if count >= 7} == {
        "sigmoid normal(std=1)",
        "tanh glorot_uniform",
        "tanh he_normal",
    }


def _saturation(saturated: dict[str, float]) -> None:
    large = [saturated[f"normal(std=1) {layer}"] for layer in range(5)]
    assert large[0] > 0.5
    assert all(0.25 < share < 0.4 for share in large[1:])
    assert max(share for key, share in saturated.items() if not key.startswith("normal")) < 0.05


def _error_signals(said: dict[str, object]) -> None:
    small, large = said["delta"]["glorot_uniform"], said["delta"]["normal(std=1)"]
    assert 1e-4 < small[0] / small[5] < 1e-3
    assert all(0.7 < 1 - before / after < 0.9 for before, after in pairwise(small))
    assert 0.05 < large[0] / large[5] < 0.2
    assert said["chi1"][0] < 0.1 < 0.5 < said["chi1"][1] < 1
