"""Results in pandas and SQL: columns and types, settings as asked for, sizes at their ends, queries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from campaign_help import (
    SMALL,
    assert_same,
    command,
    environment,
    ids_of,
    refusal,
    settings_by_id,
    small,
    tables,
)

from gradsim import Results, UsageError, report
from gradsim.analysis import best_settings, findings, verdict

pytestmark = pytest.mark.usefixtures("small_shards")


# --- tables ---------------------------------------------------------------------------------------

TYPES = {
    "run_id": "str",
    "dataset": "category",
    "depth": "int64",
    "width": "Int64",
    "hidden": "category",
    "activation": "category",
    "initializer": "category",
    "bias_initializer": "category",
    "bias": "bool",
    "loss": "category",
    "schedule": "category",
    "optimizer": "category",
    "learning_rate": "float64",
    "batch_size": "int64",
    "batch_order": "category",
    "steps": "int64",
    "dtype": "category",
    "scaling": "category",
    "test_fraction": "float64",
    "label_noise": "float64",
    "seed": "int64",
    "data_seed": "int64",
    "outcome": "category",
    "diagnosis": "category",
    "diagnosis_layer": "Int64",
    **dict.fromkeys(
        [
            *("diagnosis_value", "target_loss", "initial_loss", "final_loss", "best_loss", "tail_mean_loss"),
            *("trainability", "gain", "steps_to_target", "first_nonfinite_step", "train_accuracy", "test_accuracy"),
            *("test_loss", "seconds"),
        ],
        "float64",
    ),
}


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    return {name: "str" if pd.api.types.is_string_dtype(t) else str(t) for name, t in frame.dtypes.items()}


def test_runs_have_the_columns_and_types_of_the_schema(done):
    _, results = done
    assert kinds(results.runs) == TYPES
    curves = {"run_id": "category", "step": "int64", "batch_loss": "float64", "train_loss": "float64"}
    assert kinds(results.curves) == curves
    layers = kinds(results.layers)
    assert list(layers)[:3] == ["run_id", "step", "layer"]
    assert set(list(layers.values())[3:]) == {"float64"}
    assert {"delta_rms", "dead", "saturated_low", "saturated_high", "distinct_units", "update_ratio"} <= set(layers)


def test_types_hold_where_columns_are_all_missing(tmp_path):
    campaign = small(hidden=[4, 3], learning_rate=[0.1, 0.2, 0.3], grid={"seed": [0, 1]})
    runs = campaign.run(tmp_path, progress=False).runs
    assert kinds(runs) == TYPES
    assert runs["width"].isna().all()
    assert runs["learning_rate"].isna().all()
    assert runs["steps_to_target"].isna().all()


def test_settings_are_as_they_were_asked_for(done):
    campaign, results = done
    assert sorted(results.runs["run_id"]) == sorted(ids_of(campaign))
    assert results.axes == ["activation", "initializer", "learning_rate", "seed"]
    resolved = settings_by_id(campaign)
    labels = {("leaky_relu", 0.01): "leaky_relu", ("leaky_relu", 0.2): "leaky_relu(slope=0.2)"}
    for row in results.runs.itertuples():
        mine = resolved[row.run_id]
        first = mine.activation[0]
        assert row.activation == labels.get((first.name, first.values.get("slope")), "tanh-relu")
        assert (
            row.initializer == {"glorot_uniform": "glorot_uniform", "normal": "normal(std=30)"}[mine.initializer.name]
        )
        assert row.seed == mine.seed
        if len(mine.learning_rate) == 1:
            assert row.learning_rate == mine.learning_rate[0]
        else:
            assert np.isnan(row.learning_rate)
    one = results.runs.iloc[0]
    assert (one["loss"], one["optimizer"], one["hidden"]) == ("softmax_cross_entropy", "sgd", "5-5")
    assert (one["depth"], one["width"], one["batch_size"], one["steps"]) == (2, SMALL["width"], 8, 20)


def test_a_parameter_that_is_an_axis_has_a_column_of_its_own(tmp_path):
    campaign = small(
        activation="leaky_relu",
        initializer="normal",
        dataset="moons(samples=100)",
        grid={
            "activation.slope": [0.25, 0.5],
            "initializer.std": [1, 2],
            "learning_rate.0": [0.1],
            "dataset.noise": [0.3],
        },
        zip={"seed": [1, 2, 3], "optimizer": ["sgd", "momentum", "momentum(beta=0.5)"]},
    )
    results = campaign.run(tmp_path, progress=False)
    runs = results.runs
    assert set(runs["activation"]) == {"leaky_relu"}
    assert set(runs["initializer"]) == {"normal"}
    assert set(runs["dataset"]) == {"moons(samples=100)"}
    assert set(zip(runs["activation.slope"], runs["initializer.std"], strict=True)) == {
        (0.25, 1.0),
        (0.25, 2.0),
        (0.5, 1.0),
        (0.5, 2.0),
    }
    assert set(zip(runs["seed"], runs["optimizer"], strict=True)) == {
        (1, "sgd"),
        (2, "momentum"),
        (3, "momentum(beta=0.5)"),
    }
    assert results.axes == ["activation.slope", "initializer.std", "seed", "optimizer"]
    resolved = settings_by_id(campaign)
    for row in runs.to_dict("records"):
        assert row["activation.slope"] == resolved[row["run_id"]].activation[0].values["slope"]
        assert row["initializer.std"] == resolved[row["run_id"]].initializer.values["std"]


def test_lists_of_learning_rates_are_told_layer_by_layer(tmp_path):
    rates = [[0.1, 0.2, 0.3], [0.1, 0.1, 0.1], [0.1, 0.1, 0.2]]
    campaign = small(grid={"learning_rate": [rates[0], 0.1, rates[2]], "seed": range(2)})
    results = campaign.run(tmp_path / "out", progress=False)
    by_layer = results.runs.set_index("run_id")[[f"learning_rate.{k}" for k in range(3)]]
    assert by_layer.loc[ids_of(campaign)].to_numpy().tolist() == [own for own in rates for _ in range(2)]
    assert results.runs["learning_rate"].dropna().tolist() == [0.1, 0.1]
    assert results.axes == ["learning_rate.1", "learning_rate.2", "seed"]
    assert best_settings(results.runs, results.axes)["n"].tolist() == [2, 2, 2]

    campaign = small(zip={"depth": [1, 2], "learning_rate": [[0.1, 0.2], [0.1, 0.3, 0.4]]})
    results = campaign.run(tmp_path / "depths", progress=False)
    assert results.axes == ["depth", "learning_rate.1", "learning_rate.2"]
    assert results.runs.sort_values("depth")["learning_rate.2"].fillna(0).tolist() == [0, 0.4]


def test_axes_keep_the_order_of_the_grid_however_values_are_written(tmp_path):
    campaign = small(
        grid={"learning_rate": {"geomspace": [0.1, 1, 2]}, "activation": ["relu", "tanh"], "seed": range(2)}
    )
    assert campaign.run(tmp_path, progress=False).axes == ["learning_rate", "activation", "seed"]


def test_files_of_the_same_name_are_told_apart(tmp_path):
    rng = np.random.default_rng(0)
    for folder, rows in (("a", 40), ("b", 50)):
        (tmp_path / folder).mkdir()
        pd.DataFrame(rng.normal(size=(rows, 3)), columns=["x", "y", "z"]).to_csv(
            tmp_path / folder / "d.csv", index=False
        )
    paths = [str(tmp_path / f / "d.csv") for f in ("a", "b")]
    runs = small(grid={"dataset": [*paths, "iris"]}).run(tmp_path / "r", progress=False).runs
    assert sorted(runs["dataset"]) == sorted([*paths, "iris"])
    assert {"train_r2", "train_accuracy"} <= set(runs)
    assert runs["train_r2"].notna().sum() == 2
    alone = small(dataset=paths[0], grid={"dataset.target": ["x", "z"]}).run(tmp_path / "s", progress=False).runs
    assert set(alone["dataset"]) == {"d.csv"}
    assert set(alone["dataset.target"]) == {"x", "z"}


def test_arrays_are_stored_beside_the_results(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    campaign = small(dataset=(X, y), grid={"seed": [0, 1]})
    results = campaign.run(tmp_path / "r", progress=False)
    before = tables(results)
    shutil.move(tmp_path / "r", tmp_path / "moved")
    moved = Results(tmp_path / "moved")
    assert set(results.runs["dataset"]) == {"arrays"}
    for a, b in zip(moved.campaign.data(), campaign.data(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same(tables(moved.campaign.run(tmp_path / "moved", progress=False)), before)
    assert len(moved.campaign.replay(ids_of(campaign)[0]).loss) == 20


def test_sizes_at_their_ends(tmp_path):
    for fields in (
        {"steps": 1},
        {"steps": 1, "batch_size": "full"},
        {"test_fraction": 0},
        {"depth": 0},
        {"width": 1, "depth": 1, "bias": False},
        {"batch_size": 1},
        {"batch_size": 120},
        {"probe_samples": 1},
        {"checkpoints": [20, 0, 1, 1]},
        {"dataset": "moons(samples=4)", "batch_size": 1, "test_fraction": 0.5},
        {"learning_rate": 0},
        {"dataset": "diabetes", "depth": 0},
        {"learning_rate": 1e30},
        {"initializer": "normal(std=1e6)", "dtype": "float64"},
    ):
        campaign = small(**fields)
        results = campaign.run(tmp_path / str(abs(hash(str(fields)))), progress=False)
        steps = campaign.steps
        row = results.runs.iloc[0]
        assert results.curves["step"].tolist() == list(range(steps + 1)), fields
        checks = results.layers["step"].unique()
        assert (checks[0], checks[-1]) == (0, steps)
        assert np.isnan(row["test_loss"]) == (campaign.test_fraction == 0 or row["outcome"] == "diverged"), fields
        assert row["outcome"] in ("converged", "learning", "stalled", "diverged")
        assert results.curves["batch_loss"].isna().iloc[0]


def test_query_is_sql_over_all_three_tables(done):
    campaign, results = done
    counted = results.query("select outcome, count(*) as n from runs group by 1 order by 1")
    expected = results.runs["outcome"].value_counts().sort_index()
    assert dict(zip(counted["outcome"], counted["n"], strict=True)) == expected.to_dict()
    mean = results.query("select avg(final_loss) as m from runs where activation = 'tanh-relu'")["m"][0]
    assert mean == pytest.approx(results.runs.query("activation == 'tanh-relu'")["final_loss"].mean(), rel=1e-12)
    joined = results.query("select count(*) as n from runs join layers using (run_id) join curves using (run_id, step)")
    assert joined["n"][0] == campaign.runs * 6 * 3
    for text in ("select * from nothing", "selct 1", "", 5, "select 'a' + 1 from runs"):
        refusal(lambda text=text: results.query(text), "query")


def test_a_path_of_any_characters(tmp_path):
    path = tmp_path / 'it\'s [1] *odd?* "name"'
    results = small(grid={"seed": range(20)}).run(path, progress=False)
    assert results.query("select count(*) as n from runs")["n"][0] == len(results.runs) == len(results) == 20
    assert "2 shards" in repr(results)


def test_nan_is_missing_in_the_files(done):
    _, results = done
    schema = pq.read_schema(results.files("runs")[0])
    assert schema.field("learning_rate").type == pa.float64()
    table = pa.concat_tables([pq.read_table(f) for f in results.files("runs")], promote_options="default")
    diverged = results.runs["outcome"].eq("diverged").sum()
    assert diverged > 0
    for name in ("final_loss", "learning_rate"):
        values = table[name].to_numpy(zero_copy_only=False)
        assert table[name].null_count == np.isnan(values).sum() > 0


def test_info_is_json_a_program_can_read(done):
    _, results = done
    assert json.loads((results.path / "info.json").read_text())["fingerprints"] == results.campaign.plan.fingerprints()


def test_command_is_recorded(tmp_path):
    (tmp_path / "c.toml").write_text('dataset = "iris"\nbatch_size = 8\nsteps = 5')
    done = subprocess.run(
        command("run", "c.toml", "-o", "my results", "-q", "--no-report"), cwd=tmp_path, env=environment(), check=True
    )
    assert done.returncode == 0
    assert Results(tmp_path / "my results").info["command"] == "gradsim run c.toml -o 'my results' -q --no-report"


def test_reading_results_needs_no_engine(done):
    _, results = done
    code = (
        "import sys; from gradsim import Results; r = Results(sys.argv[1]);"
        "assert len(r.runs) == 60 and len(r.axes) == 4 and len(r.layers) and len(r.query('select 1'));"
        "assert r._repr_html_();"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(results.path)], env=environment(), check=True)


def test_results_at_the_wrong_place_raise_the_usual_error(tmp_path):
    with pytest.raises(UsageError):
        Results(tmp_path / "a" / "b")


# --- samples --------------------------------------------------------------------------------------


def test_a_sample_holds_whole_runs_drawn_by_their_ids(tmp_path):
    every = small(grid={"learning_rate": [0.01, 0.1], "seed": range(300)}).run(tmp_path, progress=False)
    assert every.sample(600) is every
    assert (every.drawn_from, len(Results(tmp_path))) == (None, 600)
    some = every.sample(200)
    assert some.drawn_from == 600
    assert 140 < len(some) < 260, "four standard deviations of a draw of one in three"
    same = every.runs[every.runs["run_id"].isin(some.runs["run_id"])].reset_index(drop=True)
    assert_same({"runs": some.runs}, {"runs": same})
    assert set(some.curves["run_id"]) == set(some.layers["run_id"]) == set(some.runs["run_id"])
    assert len(some.layers) * 600 == len(every.layers) * len(some)
    assert set(every.sample(50).runs["run_id"]) < set(some.runs["run_id"])


def test_what_is_looked_at_fits_into_memory(tmp_path, monkeypatch):
    results = small(grid={"learning_rate": [0.01, 0.1], "seed": range(30)}).run(tmp_path, progress=False)
    assert "drawn at random" not in findings(results)[0]
    monkeypatch.setattr(verdict, "LOOKED_AT", 30)
    count = len(results.sample(30))
    assert findings(results)[0].startswith(f"Of 60 runs {count} were drawn at random. ")
    seen = []
    monkeypatch.setattr("gradsim.report.page.write_report", lambda given, out, formats: (seen.append(given), page)[1])
    page = tmp_path / "index.html"
    page.write_text("")
    assert report(results).name == page.name
    assert [len(given) for given in seen] == [count]
