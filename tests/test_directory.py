"""Results directories: files and their marks, damage, foreign directories, and the lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from campaign_help import (
    GRID,
    TABLES,
    assert_same,
    environment,
    gradsim,
    ids_of,
    refusal,
    run_by_two_threads_at_once,
    shard_names,
    small,
    tables,
)
from formula_help import table_put_back

from gradsim import GradsimError, Results, runner, shard_files, storage
from gradsim.activations import pointwise
from gradsim.lanes import where

pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.fixture
def copy(done, tmp_path):
    """The finished campaign and a copy of its directory, to do harm to."""
    campaign, results = done
    path = tmp_path / "copy"
    shutil.copytree(results.path, path)
    return campaign, path


# --- files ----------------------------------------------------------------------------------------


def test_files_of_a_finished_campaign(done):
    campaign, results = done
    assert {p.name for p in results.path.iterdir()} == {"campaign.toml", "info.json", "lock", "sums", *TABLES}
    names = [f"{s.name}.parquet" for s in campaign.plan.shards]
    assert len(names) >= 4
    for table in TABLES:
        assert shard_names(results.path, table) == sorted(names)
        assert [p.name for p in results.files(table)] == names
    assert (results.path / "lock").read_text() == ""


def test_sums_are_those_of_the_files(done):
    _, results = done
    for shard in results.campaign.plan.shards:
        noted = (results.path / "sums" / f"{shard.name}.b2").read_text().splitlines()
        files = [f"{table}/{shard.name}.parquet" for table in sorted(TABLES)]
        wanted = [f"{hashlib.blake2b((results.path / file).read_bytes()).hexdigest()}  {file}" for file in files]
        assert noted == wanted


@pytest.mark.parametrize("store", ["runs", "curves"])
def test_a_campaign_keeps_what_it_says(done, tmp_path, store):
    whole = tables(done[1])
    campaign = small(grid=GRID, store=store)
    results = campaign.run(tmp_path / "some", progress=False)
    kept = TABLES[: TABLES.index(store) + 1]
    assert results.stored == kept
    assert_same(tables(results), {table: whole[table] for table in kept})
    for table in set(TABLES) - set(kept):
        assert not (results.path / table).exists()
        refusal(lambda table=table: getattr(results, table), f"keeps no {table}", f'store = "{store}"')
    assert results.query("select count(*) as n from runs")["n"][0] == len(results)
    assert runner.status(results)["shards_done"] == len(campaign.plan.shards)
    again = campaign.run(results.path, progress=False)
    assert len(again) == len(results)


def test_footers_tell_campaign_shard_and_rows(done):
    campaign, results = done
    for shard in campaign.plan.shards:
        rows = storage.expected_rows(campaign, campaign.plan.cohort_cells[shard.cohort])
        assert rows == {"runs": 1, "curves": 21, "layers": 6 * 3}
        for table in TABLES:
            footer = pq.read_metadata(results.path / table / f"{shard.name}.parquet")
            assert footer.num_rows == rows[table] * len(shard.positions)
            assert footer.metadata[b"gradsim.campaign"] == campaign.digest.encode()
            assert footer.metadata[b"gradsim.shard"] == shard.mark.encode()


def test_the_stored_campaign_is_the_campaign(done):
    campaign, results = done
    assert results.campaign.digest == campaign.digest
    assert ids_of(results.campaign) == ids_of(campaign)
    assert results.settings == tomllib.loads(campaign.to_toml())
    assert results.campaign.name == "done"


def test_info_tells_how_the_results_were_made(done):
    campaign, results = done
    info = results.info
    assert info["digest"] == campaign.digest
    assert info["networks"] == "4-5-5-3"
    assert (info["train_samples"], info["test_samples"]) == (120, 30)
    assert info["seconds"] > 0
    assert info["threads"] >= 1
    assert info["versions"]["numpy"] == np.__version__
    assert info["task"] == "classification"
    assert info["real"] is True


def test_seconds_of_work_add_up_and_a_finished_campaign_takes_none(copy):
    campaign, path = copy
    before = Results(path).info["seconds"]
    campaign.run(path, progress=False)
    assert Results(path).info["seconds"] == before
    (path / "runs" / shard_names(path)[0]).unlink()
    campaign.run(path, progress=False)
    assert Results(path).info["seconds"] > before


# --- damage ---------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def text(path):
    path.write_text("not parquet")


def fewer_rows(path):
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table) - 1), path)


def of_another_campaign(path):
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | {b"gradsim.campaign": b"0" * 16}), path)


def without_marks(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def a_neighbor(path):
    """Another shard's file under this one's name, of as many rows."""
    marks = pq.read_metadata(path)
    for other in sorted(path.parent.iterdir()):
        if other != path and pq.read_metadata(other).num_rows == marks.num_rows:
            shutil.copy(other, path)
            return
    raise AssertionError("no shard of the same size")


def a_bit(path):
    """One bit of a number of the data, in a file that can be read and has the right marks."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("table", [*TABLES, "sums"])
def test_a_shard_with_a_changed_bit_is_made_anew(done, copy, table):
    campaign, path = copy
    name = sorted((path / table).iterdir())[1]
    a_bit(name)
    assert_same(tables(campaign.run(path, progress=False)), tables(done[1]))
    assert name.read_bytes()
    assert shard_files.is_sound(
        path,
        campaign.plan.shards[1],
        storage.expected_rows(campaign, campaign.plan.cohort_cells[0]),
        campaign.digest,
    )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "harm", [truncate, empty, remove, text, fewer_rows, of_another_campaign, without_marks, a_neighbor]
)
def test_a_damaged_or_foreign_shard_is_made_anew(done, copy, harm, table):
    campaign, path = copy
    name = shard_names(path)[0]
    harm(path / table / name)
    assert runner.status(Results(path))["shards_done"] == len(campaign.plan.shards) - 1
    others = {p: p.stat().st_mtime_ns for t in TABLES for p in (path / t).iterdir() if p.name != name}
    assert_same(tables(campaign.run(path, progress=False)), tables(done[1]))
    assert {p: p.stat().st_mtime_ns for p in others} == others


def test_leftovers_are_removed(done, copy):
    campaign, path = copy
    extra = path / "runs" / "c0099-s000000.parquet"
    shutil.copy(path / "runs" / shard_names(path)[0], extra)
    halves = [path / t / ".c0000-s000000.parquet.123.tmp" for t in TABLES]
    for half in halves:
        half.write_bytes(b"half")
    mine = path / "runs" / "my notes.txt"
    mine.write_text("kept")
    assert_same(tables(campaign.run(path, progress=False)), tables(done[1]))
    assert not extra.exists()
    assert not any(half.exists() for half in halves)
    assert mine.read_text() == "kept"


def test_reading_says_which_file_is_damaged(copy):
    _, path = copy
    name = shard_names(path)[1]
    truncate(path / "layers" / name)
    results = Results(path)
    assert len(results.runs) == 60
    refusal(lambda: results.layers, name, "gradsim resume")
    refusal(lambda: results.query("select * from layers"), "query")


def test_only_finished_shards_are_read(copy):
    _, path = copy
    for name in shard_names(path)[1:]:
        (path / "runs" / name).unlink()
    results = Results(path)
    assert set(results.layers["run_id"]) == set(results.curves["run_id"]) == set(results.runs["run_id"])
    assert results.query("select count(distinct run_id) as n from layers")["n"][0] == len(results.runs) < 60
    status = runner.status(results)
    assert (status["runs"], status["runs_done"], status["shards_done"]) == (60, len(results.runs), 1)
    assert sum(status["outcomes"].values()) == len(results.runs)


def test_a_directory_without_results_says_so(copy, tmp_path):
    _, path = copy
    shutil.rmtree(path / "runs")
    refusal(lambda: Results(path).runs, "no finished shard yet", "gradsim resume")
    refusal(lambda: Results(path).query("select 1"), "no finished shard yet")
    refusal(lambda: Results(tmp_path / "nowhere"), "nowhere", "no such directory")
    (tmp_path / "file").write_text("")
    refusal(lambda: Results(tmp_path / "file"), "no such directory")
    refusal(lambda: Results(tmp_path), "holds no campaign.toml")
    (path / "campaign.toml").write_text("steps = ")
    refusal(lambda: Results(path).settings, "campaign.toml", "not valid TOML")
    refusal(lambda: Results(path).campaign, "campaign.toml", "not valid TOML")


@pytest.mark.parametrize("content", [None, "", "[1, 2]", "{", '{"seconds": "many"}'])
def test_without_a_sound_info_file_work_goes_on(done, copy, content):
    campaign, path = copy
    if content is None:
        (path / "info.json").unlink()
    else:
        (path / "info.json").write_text(content)
    (path / "runs" / shard_names(path)[0]).unlink()
    results = campaign.run(path, progress=False)
    assert_same(tables(results), tables(done[1]))
    assert results.info["digest"] == campaign.digest


def test_a_failing_disk_is_one_line_and_what_was_finished_is_kept(tmp_path, monkeypatch):
    campaign = small(grid=GRID)
    real, calls = os.replace, []

    def full(source, target):
        if "s000001" in str(target):
            calls.append(target)
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(os, "replace", full)
    message = refusal(lambda: campaign.run(tmp_path, threads=1, progress=False), "No space left", error=GradsimError)
    assert "cannot be written" in message
    assert len(calls) == 1
    assert not [p for t in TABLES if (tmp_path / t).is_dir() for p in (tmp_path / t).glob(".*.tmp")]
    finished = len(shard_names(tmp_path))
    monkeypatch.setattr(os, "replace", real)
    assert 0 < finished < len(campaign.plan.shards)
    assert len(campaign.run(tmp_path, progress=False)) == campaign.runs


def test_an_unforeseen_failure_names_the_shard_and_leaves_the_others(tmp_path, monkeypatch):
    campaign = small(grid=GRID)
    real = runner.networks_of

    def fails(plan, cohort, positions):
        if 0 in positions:
            raise RuntimeError("out of\nluck")
        return real(plan, cohort, positions)

    monkeypatch.setattr(runner, "networks_of", fails)
    with pytest.raises(GradsimError, match="c0000-s000000") as caught:
        campaign.run(tmp_path, progress=False)
    assert "RuntimeError: out of" in str(caught.value)
    assert ids_of(campaign)[0] in str(caught.value)
    assert len(shard_names(tmp_path)) == len(campaign.plan.shards) - 1


# --- whose directory ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 21}, "steps was 20, is 21"),
        ({"grid": GRID | {"seed": range(6)}}, "the axis seed"),
        ({"grid": {k: v for k, v in GRID.items() if k != "seed"}}, "the axis seed is gone"),
        ({"grid": GRID | {"width": [3]}}, "the axis width is new"),
        ({"dataset": "wine"}, "the data were iris, are wine"),
        ({"thresholds": {"stalled": 0.5}}, "thresholds.stalled was 0.01, is 0.5"),
        ({"checkpoints": [5]}, "checkpoints is new"),
        ({"exclude": {"seed": 1}}, "exclude is new"),
        ({"target": 0.5, "campaign_seed": 3}, "campaign_seed was 0, is 3"),
        ({"initializer": "zeros", "grid": {}}, "the axis initializer is gone"),
    ],
)
def test_another_campaign_s_directory_is_refused_with_what_differs(done, change, says):
    _, results = done
    other = small(**{"grid": GRID} | change)
    refusal(lambda: other.run(results.path, progress=False), str(results.path), "another campaign", says)


def test_another_name_is_the_same_campaign(copy):
    campaign, path = copy
    assert len(campaign.model_copy(update={"name": "renamed"}).run(path, progress=False)) == campaign.runs


def test_changed_data_are_another_campaign(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "d.csv", index=False)
    path = tmp_path / "results"
    small(dataset=tmp_path / "d.csv").run(path, progress=False)
    (frame * 2).to_csv(tmp_path / "d.csv", index=False)
    refusal(lambda: small(dataset=tmp_path / "d.csv").run(path, progress=False), "another campaign", "the data")
    # The same content under another name is the same campaign.
    frame.to_csv(tmp_path / "e.csv", index=False)
    assert len(small(dataset=tmp_path / "e.csv").run(path, progress=False)) == 1


def test_a_data_file_s_path_is_meant_from_where_the_campaign_was_made(tmp_path, monkeypatch):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "d.csv", index=False)
    monkeypatch.chdir(tmp_path)
    results = small(dataset="d.csv", grid={"seed": [0, 1]}, exclude={"seed": 1}).run("deep/er", progress=False)
    monkeypatch.chdir(tmp_path.parent)
    stored = Results(tmp_path / "deep" / "er")
    assert len(stored.campaign.data()[0]) == 40
    assert stored.info["digest"] == stored.campaign.digest
    assert "er" in repr(results)


def test_data_that_change_while_the_campaign_runs_stop_it(tmp_path, monkeypatch):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "d.csv", index=False)
    campaign = small(dataset=tmp_path / "d.csv", grid={"width": range(2, 20)})
    real, calls = runner.networks_of, []

    def saves(plan, cohort, positions):
        if not calls:
            (frame * 2).to_csv(tmp_path / "d.csv", index=False)
        calls.append(positions)
        return real(plan, cohort, positions)

    monkeypatch.setattr(runner, "networks_of", saves)
    path = tmp_path / "results"
    refusal(lambda: campaign.run(path, threads=1, progress=False), "changed while", error=GradsimError)
    assert len(shard_names(path)) < campaign.runs


def test_a_directory_with_other_things_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refusal(lambda: small().run(tmp_path, progress=False), str(tmp_path), "not empty")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    refusal(lambda: small().run(tmp_path / "thesis.tex", progress=False), "thesis.tex", "is a file")
    refusal(lambda: small().run(tmp_path / "thesis.tex" / "x", progress=False), "cannot be written", "Not a directory")


def test_nothing_is_written_for_a_campaign_that_cannot_run(tmp_path):
    path = tmp_path / "results"
    for fields in ({"batch_size": 500}, {"dataset": str(tmp_path / "none.csv")}, {"steps": 10**6, "batch_size": 120}):
        refusal(lambda fields=fields: small(**fields).run(path, progress=False))
        refusal(lambda: small().run(path, threads=0, progress=False), "threads = 0")
    refusal(lambda: small(width=50_000).run(path, progress=False), "parameters", "20,000,000")
    assert not path.exists()


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 10**6])
def test_threads_out_of_bounds(tmp_path, threads):
    refusal(lambda: small().run(tmp_path / "x", threads=threads, progress=False), "threads", "from 1 to 1024")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that bind")
def test_an_unwritable_directory_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    try:
        refusal(lambda: small().run(tmp_path / "x", progress=False), "cannot be written", "Permission")
    finally:
        tmp_path.chmod(0o700)


# --- the lock -------------------------------------------------------------------------------------


def test_a_second_process_is_told_who_is_at_work(copy):
    campaign, path = copy
    (path / "runs" / shard_names(path)[0]).unlink()
    code = (
        "import sys, fcntl, os, time\n"
        "from pathlib import Path\n"
        "from gradsim import Results, directory\n"
        "results = Results(sys.argv[1])\n"
        "with directory.opened(results.campaign, results.path):\n"
        "    print(os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        pid = holder.stdout.readline().strip()
        second = gradsim("resume", path, "--quiet", "--no-report")
        assert second.returncode == 1
        assert f"process {pid}" in second.stderr
        assert "at work" in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert second.stdout == ""
        refusal(lambda: campaign.run(path, progress=False), f"process {pid}", "at work", error=GradsimError)
    finally:
        holder.communicate()
    assert len(campaign.run(path, progress=False)) == campaign.runs


def test_a_lock_left_behind_is_no_lock(copy):
    campaign, path = copy
    (path / "lock").write_text("process 1 on mars")
    assert len(campaign.run(path, progress=False)) == campaign.runs


def test_two_threads_of_one_process_do_not_share_a_directory(tmp_path):
    campaign = small(grid={"seed": range(200)}, steps=2000)
    run_by_two_threads_at_once(campaign, tmp_path)
    assert len(Results(tmp_path)) == 200


def test_results_of_a_program_s_own_activation_say_so_elsewhere(tmp_path):
    with table_put_back():

        @pointwise("3 z", name="tripled_elsewhere")
        def tripled(z):
            return 3 * z, where(z == z, 3, z)

        small(activation="tripled_elsewhere").run(tmp_path, progress=False)
    refusal(lambda: Results(tmp_path).campaign, str(tmp_path), "'tripled_elsewhere' was defined by a program")
    assert len(Results(tmp_path)) == 1
