"""Campaigns on Dask: two worker processes give what threads give, whatever happens to them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from campaign_help import (
    GRID,
    SMALL,
    TOML,
    assert_same,
    command,
    environment,
    gradsim,
    refusal,
    shard_names,
    small,
    tables,
)
from cli_help import complaint
from formula_help import table_put_back

from gradsim import Campaign, GradsimError, Results, directory, runner

distributed = pytest.importorskip("distributed", reason="needs distributed: pip install gradsim[dask]")

import dask  # noqa: E402

from gradsim import cluster  # noqa: E402


@pytest.fixture(scope="module")
def client():
    """Two worker processes."""
    with cluster.connected("local", 2) as made:
        yield made


@pytest.fixture
def thread_client():
    """Two worker threads of this process, which see what tests change in it."""
    options = {"threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=1, **options) as here,
        distributed.Client(here, set_as_default=False) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def one_shard_a_task(monkeypatch):
    """Workers of small campaigns have more than one task."""
    monkeypatch.setattr(cluster, "TASK_SECONDS", 0.0)


@pytest.fixture
def some():
    """A campaign of several cohorts, and so of several shards."""
    return small(grid=GRID | {"width": range(3, 7)})


def hidden(path):
    """What should not be left in a results directory."""
    return list(path.rglob(".*"))


def look_in(folder):
    """Where to find modules."""
    sys.path.insert(0, folder)


def busy(steps=2000):
    """Sixteen shards of a fraction of a second."""
    grid = {"width": range(20, 36), "seed": range(64)}
    return Campaign(dataset="iris", depth=2, steps=steps, batch_size=8, learning_rate=0.1, store="curves", grid=grid)


# --- the same tables ------------------------------------------------------------------------------


def test_tables_are_those_of_threads(client, some, tmp_path, capfd):
    assert len(some.plan.shards) >= 8
    there = some.run(tmp_path / "there", client=client)
    said = capfd.readouterr().err.splitlines()
    here = some.run(tmp_path / "here", progress=False)
    assert_same(tables(there), tables(here))
    assert said[0] == f"{some.runs} runs"
    assert said[-1].startswith(f"{some.runs}/{some.runs} runs")
    assert len(said) == 2
    assert there.info["threads"] == 2
    assert there.info["seconds"] > 0
    assert runner.status(there) == runner.status(here) | {"path": str(there.path)}
    assert hidden(there.path) == []


def test_what_is_missing_is_made_and_nothing_else(client, some, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere
    before = tables(some.run("out", progress=False))
    name = shard_names(tmp_path / "out")[2]
    (tmp_path / "out" / "layers" / name).write_bytes(b"damaged")
    others = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").iterdir() if p.name != name}
    assert_same(tables(some.run("out", client=client, progress=False)), before)
    assert {p: p.stat().st_mtime_ns for p in others} == others
    taken = Results("out").info["seconds"]
    some.run("out", client=client, progress=False)
    assert Results("out").info["seconds"] == taken


def test_small_shards_go_together(client, some, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "TASK_SECONDS", 1.0)
    assert len(list(cluster._tasks(some.plan, some.plan.shards, lambda: 2))) == 1
    there = some.run(tmp_path / "there", client=client, progress=False)
    assert_same(tables(there), tables(some.run(tmp_path / "here", progress=False)))


def test_many_threads_get_larger_tasks_while_there_is_enough_for_all():
    plan = small(grid={"seed": range(2 * 10**7)}, steps=1000).plan
    seconds = plan.nominal_seconds() / len(plan.shards)
    few, many = (list(cluster._tasks(plan, plan.shards, lambda n=n: n)) for n in (2, 300))
    for tasks in (few, many):
        assert [shard for task in tasks for shard in task] == plan.shards
    assert {len(task) for task in few} == {1}
    assert len(many[0]) == np.ceil(300 * cluster.TASK_SECONDS_PER_THREAD / seconds) == 2
    assert len(many[-1]) == 1, "the last ones are small, so that threads finish together"
    assert len(many) > 4 * 300


def test_arrays_as_data(client, tmp_path):
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    campaign = Campaign(
        **SMALL | {"dataset": {"name": "arrays", "X": X, "y": (X.sum(axis=1) > 0).astype(int)}},
        grid={"width": [3, 4, 5], "seed": range(3)},
    )
    there = campaign.run(tmp_path / "there", client=client, progress=False)
    assert_same(tables(there), tables(campaign.run(tmp_path / "here", progress=False)))
    (there.path / "runs" / shard_names(there.path)[0]).unlink()
    again = there.campaign.run(there.path, client=client, progress=False)
    assert_same(tables(again), tables(there))


def test_a_file_that_has_moved(client, tmp_path):
    """The same data from elsewhere are the same campaign, on workers too."""
    rows = [f"{i % 7},{i % 3},{i % 2}" for i in range(40)]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.csv").write_text("\n".join(["u,v,label", *rows]))
    first, second = (small(dataset=str(tmp_path / f / "data.csv"), grid={"width": [3, 4]}) for f in ("a", "b"))
    before = tables(first.run(tmp_path / "out", progress=False))
    (tmp_path / "out" / "runs" / shard_names(tmp_path / "out")[0]).unlink()
    (tmp_path / "a" / "data.csv").unlink()
    assert_same(tables(second.run(tmp_path / "out", client=client, progress=False)), before)


# --- a user's own activations ---------------------------------------------------------------------


def test_a_formula(client, tmp_path):
    with table_put_back():
        mine = {"formula": "z*sin(b*z)", "name": "wavy_on_dask", "parameters": {"b": 1.5}}
        campaign = small(grid={"activation": ["relu", mine], "seed": range(3)})
        there = campaign.run(tmp_path / "there", client=client, progress=False)
        assert_same(tables(there), tables(campaign.run(tmp_path / "here", progress=False)))


def test_a_function_of_a_module_that_workers_can_or_cannot_import(client, tmp_path, monkeypatch):
    module = tmp_path / "my_activations_for_dask.py"
    module.write_text(
        "from gradsim.activations import pointwise\n"
        '@pointwise("2 z", name="doubled_on_dask")\n'
        "def doubled(z):\n    return 2 * z, 2 + 0 * z\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with table_put_back():
        importlib.import_module(module.stem)
        campaign = small(activation="doubled_on_dask", grid={"width": [3, 4]})
        said = refusal(
            lambda: campaign.run(tmp_path / "there", client=client, progress=False),
            "'doubled_on_dask'",
            module.stem,
            "cannot be imported",
            os.uname().nodename,
            error=GradsimError,
        )
        assert "No module named" in said
        client.run(look_in, str(tmp_path))
        there = campaign.run(tmp_path / "there", client=client, progress=False)
        assert_same(tables(there), tables(campaign.run(tmp_path / "here", progress=False)))
        module.write_text(module.read_text().replace("2 + 0", "3 + 0"))
        client.restart()
        client.run(look_in, str(tmp_path))
        (there.path / "runs" / shard_names(there.path)[0]).unlink()
        refusal(
            lambda: campaign.run(there.path, client=client, progress=False),
            "doubled_on_dask is another here",
            error=GradsimError,
        )


# --- trouble --------------------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle(tmp_path):
    campaign = busy()
    with cluster.connected("local", 2) as client:
        victim = min(client.run(os.getpid).values())
        seen = []

        def kill():
            while len(list(tmp_path.glob("there/runs/c*"))) < 2:
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            seen.append(len(shard_names(tmp_path / "there")))

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        there = campaign.run(tmp_path / "there", client=client, progress=False)
        killer.join()
    assert 2 <= seen[0] <= len(campaign.plan.shards) - 4
    assert_same(tables(there), tables(campaign.run(tmp_path / "here", progress=False)))


def test_a_shard_that_no_worker_survives(some):
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), cluster.connected("local", 1) as client:
        ended = [one for some in cluster.drain(client, os._exit, iter([1])) for one in some]
    ((item, result),) = ended
    assert item == 1
    (failed,) = cluster._each([(0, "mark")], result)
    assert (failed.kind, failed.fatal) == ("KilledWorker", False)
    assert "died" in failed.message
    assert type(failed.error()).__name__ == "KilledWorker"


def hide_gradsim(away):
    """As if gradsim were not installed, or again as it is."""
    if away:
        sys.modules["gradsim.cluster"] = None
    else:
        del sys.modules["gradsim.cluster"]


def test_workers_without_gradsim(client, some, tmp_path):
    client.run(hide_gradsim, True)
    try:
        run = functools.partial(some.run, tmp_path, client=client, progress=False)
        refusal(run, "Dask: ModuleNotFoundError", "gradsim.cluster", "same packages", error=GradsimError)
    finally:
        client.run(hide_gradsim, False)
    assert len(run()) == some.runs


def test_a_directory_that_workers_do_not_reach(client, some, tmp_path, monkeypatch):
    real = cluster.drain

    def elsewhere(*given):
        (told,) = tmp_path.glob(".workers-*.json")
        told.unlink()
        return real(*given)

    monkeypatch.setattr(cluster, "drain", elsewhere)
    refusal(
        lambda: some.run(tmp_path, client=client, progress=False),
        str(tmp_path),
        f"worker on {os.uname().nodename}",
        "is not the directory",
        "all machines reach",
        error=GradsimError,
    )


def test_another_version_on_the_workers(client, some, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_version", lambda: ["9.9", "abc"])
    refusal(lambda: some.run(tmp_path, client=client, progress=False), "9.9 abc", "need the same", error=GradsimError)


def test_other_shards_on_the_workers(client, some, tmp_path, small_shards):
    refusal(lambda: some.run(tmp_path, client=client, progress=False), "plans other shards", error=GradsimError)


def test_an_error_in_a_shard_is_told_as_by_threads(thread_client, some, tmp_path, monkeypatch):
    real = runner.networks_of

    def fails(plan, cohort, positions):
        if 0 in positions:
            raise ZeroDivisionError("out of\nluck")
        return real(plan, cohort, positions)

    monkeypatch.setattr(runner, "networks_of", fails)
    lines = []
    for path, client in ((tmp_path / "there", thread_client), (tmp_path / "here", None)):
        with pytest.raises(GradsimError, match="c0000-s000000") as caught:
            some.run(path, client=client, progress=False)
        lines.append(str(caught.value).replace(str(path), "PATH"))
        assert len(shard_names(path)) == len(some.plan.shards) - 1
    assert lines[0] == lines[1]
    assert "ZeroDivisionError: out of" in lines[0]


def test_a_failing_disk_is_one_line_with_its_machine(thread_client, some, tmp_path, monkeypatch):
    real = os.replace

    failed = threading.Event()

    def full(source, target):
        if failed.is_set():
            time.sleep(0.3)  # another shard, still at it when the first has failed
        if "s000000.parquet" in str(target):
            failed.set()
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(os, "replace", full)
    run = functools.partial(some.run, tmp_path, client=thread_client, progress=False)
    refusal(run, os.uname().nodename, "No space left", "cannot be written", error=GradsimError)
    assert hidden(tmp_path) == []
    monkeypatch.setattr(os, "replace", real)
    assert len(run()) == some.runs


def test_no_other_process_may_work_on_the_directory(client, some, tmp_path, monkeypatch):
    with directory.opened(some, tmp_path):
        run = functools.partial(some.run, tmp_path, client=client, progress=False)
        refusal(run, f"process {os.getpid()}", "at work", error=GradsimError)
    real, said = cluster.drain, []

    def meanwhile(*given):
        said.append(refusal(lambda: some.run(tmp_path, progress=False), "at work", error=GradsimError))
        return real(*given)

    monkeypatch.setattr(cluster, "drain", meanwhile)
    assert len(run()) == some.runs
    assert len(said) == 1


def test_the_scheduler_is_lost(tmp_path):
    with cluster.connected("local", 2) as client:

        def lose():
            while not list(tmp_path.glob("runs/c*")):
                time.sleep(0.01)
            client.cluster.close(timeout=5)

        loser = threading.Thread(target=lose, daemon=True)
        loser.start()
        refusal(
            lambda: busy().run(tmp_path, client=client, progress=False),
            "scheduler is lost",
            "finished shards are kept",
            error=GradsimError,
        )
        loser.join()
    assert shard_names(tmp_path)


@pytest.mark.parametrize("count_seconds", [0, 60])
def test_a_client_that_is_closed_in_the_middle_has_lost_its_scheduler(thread_client, monkeypatch, count_seconds):
    monkeypatch.setattr(cluster, "_COUNT_SECONDS", count_seconds)
    monkeypatch.setattr(cluster, "LEAST_TASKS", 3)

    def items():
        yield from range(10)
        thread_client.close()
        yield from range(10, 20)

    refusal(lambda: list(cluster.drain(thread_client, square, items())), "scheduler is lost", error=GradsimError)


def test_an_error_of_ours_is_no_lost_scheduler(thread_client):
    def items():
        yield 1
        raise ValueError("of ours")

    with pytest.raises(ValueError, match="of ours"):
        list(cluster.drain(thread_client, square, items()))


# --- the scheduler's load -------------------------------------------------------------------------


def square(x):
    return x * x


def test_few_tasks_are_with_the_scheduler_at_once(thread_client, monkeypatch):
    monkeypatch.setattr(cluster, "LEAST_TASKS", 7)
    monkeypatch.setattr(cluster, "TASKS_PER_THREAD", 2)
    taken, most, found = [], 0, []
    items = (taken.append(x) or x for x in range(1, 101))
    for some in cluster.drain(thread_client, square, items):
        most = max(most, len(taken) - len(found))
        found += some
    assert sorted(found) == [(x, x * x) for x in range(1, 101)]
    assert 7 <= most <= 8


def test_what_is_left_is_cancelled(thread_client):
    with contextlib.closing(cluster.drain(thread_client, time.sleep, iter([0.01] * 50 + [0.2] * 500))) as done:
        assert next(done) is not None
    held = thread_client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    assert held <= 2


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["tcp://127.0.0.1:8786", 3, object()])
def test_what_is_no_client(some, tmp_path, client):
    refusal(lambda: some.run(tmp_path / "out", client=client), "client = ", "distributed.Client")
    assert not (tmp_path / "out").exists()


def test_threads_are_the_workers_own(client, some, tmp_path):
    refusal(lambda: some.run(tmp_path / "out", client=client, threads=2), "threads = 2", "workers decide")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A campaign's file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flowers.toml"
    path.write_text(TOML)
    return path


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "foo://x:1", "nowhere.invalid:8786", ""])
def test_where_no_scheduler_is(cli, file, monkeypatch, address):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    started = time.perf_counter()
    complaint(cli("run", file, "--dask", address), f"--dask {address}: no Dask scheduler there", "local", status=1)
    assert time.perf_counter() - started < 10
    assert not (file.parent / "results").exists()


def test_options_that_do_not_go_together(cli, file):
    complaint(cli("run", file, "--dask", "127.0.0.1:1", "-t", "2"), "threads = 2", "workers decide")
    complaint(cli("run", file, "--dask", "local", "-t", "0"), "threads = 0", "1 to 1024")
    complaint(cli("run", file, "--dask", "local", "--dry-run"), "--dry-run", "--dask")


def test_without_the_extra(cli, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    complaint(cli("run", file, "--dask", "local"), "pip install gradsim[dask]", status=1)
    refusal(lambda: small().run(file.parent / "out", client=1), "pip install gradsim[dask]", error=GradsimError)


def test_importing_gradsim_imports_no_dask():
    code = "import sys, gradsim.campaign, gradsim.cli, gradsim.cluster; print('distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "False\n"


# --- the command line -----------------------------------------------------------------------------


def test_run_and_resume_by_address(cli, file, client, tmp_path):
    address = client.scheduler.address
    answer = cli("run", file, "-o", "out", "--dask", address, "--no-report")
    assert answer.status == 0, answer.err
    assert answer.out
    there = tables(Results("out"))
    assert_same(there, tables(Campaign.from_toml(file).run("here", progress=False)))
    (tmp_path / "out" / "runs" / shard_names(tmp_path / "out")[0]).unlink()
    answer = cli("resume", "out", "--dask", address, "--no-report", "--quiet")
    assert (answer.status, answer.err) == (0, "")
    assert_same(tables(Results("out")), there)


def test_local_workers_say_nothing(file):
    done = gradsim("run", file, "-o", "out", "--dask", "local", "-t", "2", "--no-report", cwd=file.parent)
    assert done.returncode == 0, done.stderr
    assert [line.partition(",")[0] for line in done.stderr.splitlines()] == [
        "flowers: 10 networks 4-5-5-3",
        "10 runs",
        "10/10 runs",
    ]


def test_ctrl_c_reaches_everybody_and_keeps_what_is_finished(tmp_path):
    (tmp_path / "busy.toml").write_text(busy(20_000).to_toml())
    process = subprocess.Popen(
        command("run", tmp_path / "busy.toml", "-o", tmp_path / "out", "--dask", "local", "-t", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        # What runs in the background of a script has inherited that it ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(tmp_path.glob("out/runs/c*")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("gradsim: interrupted; finished shards are kept")
    assert out == ""
    assert shard_names(tmp_path / "out")
    assert hidden(tmp_path / "out") == []
