"""Results directories at URLs: an S3 server of this machine, memory and file; locks that are objects; what can fail."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

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
    run_by_two_threads_at_once,
    shard_names,
    small,
    tables,
)
from cli_help import complaint

from gradsim import Campaign, GradsimError, Results, UsageError, cluster, directory, locks, places, runner

pytest.importorskip("s3fs", reason="needs s3fs: pip install gradsim[s3]")
moto_server = pytest.importorskip("moto.server", reason="needs moto: pip install gradsim[test]")

import fsspec  # noqa: E402
import moto.settings  # noqa: E402

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(scope="module")
def server():
    """An S3 server with one bucket, for this process and those that it starts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    here = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    here.start()
    address = "http://{}:{}".format(*here.get_host_and_port())
    # Buckets outlive a server, and a worker that comes back to this module starts its second one.
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name, value in (SETTINGS | {"AWS_ENDPOINT_URL": address}).items():
            patch.setenv(name, value)
        forget()
        fsspec.filesystem("s3").mkdir("shelf")
        yield here
    here.stop()


def forget():
    """Connections, with the settings that they were made with."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture
def url(server, request):
    """A directory in the bucket, not there yet."""
    return f"s3://shelf/{request.node.name}/out"


@pytest.fixture
def fast_locks(monkeypatch):
    """Locks of objects by the tenth of a second."""
    for name, seconds in (("REFRESH", 0.1), ("STALE", 1.0), ("SETTLE", 0.2)):
        monkeypatch.setattr(locks, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.05)


@pytest.fixture
def uploaded(done, url, small_shards):
    """The finished campaign and a copy of its directory at a URL, to do harm to."""
    campaign, results = done
    there = places.place_of(url)
    for file in results.path.rglob("*.*"):
        (there / file.relative_to(results.path).as_posix()).write_bytes(file.read_bytes())
    return campaign, there


def objects(place):
    """What lies under a place, with its content."""
    folder = place.fs._strip_protocol(str(place))
    return {name.removeprefix(folder + "/"): place.fs.cat_file(name) for name in place.fs.find(folder)}


# --- the same as in a local directory -------------------------------------------------------------


def test_tables_are_those_of_a_local_directory(done, url, small_shards, capfd):
    campaign, here = done
    there = campaign.run(url)
    assert str(there.path) == url
    assert_same(tables(there), tables(here))
    assert_same(tables(Results(url)), tables(here))
    assert capfd.readouterr().err.splitlines()[-1].startswith(f"{campaign.runs}/{campaign.runs} runs")
    assert set(objects(there.path)) == {f.relative_to(here.path).as_posix() for f in here.path.rglob("*.*")}
    assert there.axes == here.axes
    assert there.campaign.digest == campaign.digest
    assert there.info["digest"] == campaign.digest
    assert runner.status(there) == runner.status(here) | {"path": url}
    sql = "select activation, count(*) as n, max(step) as m from runs join curves using (run_id) group by 1 order by 1"
    assert there.query(sql).equals(here.query(sql))
    assert "shards" in repr(there)


def damage(place):
    content = bytearray(place.read_bytes())
    content[len(content) // 3] ^= 4
    place.write_bytes(content)


def cut(place):
    place.write_bytes(place.read_bytes()[:-20])


def remove(place):
    place.unlink()


@pytest.mark.parametrize(
    ("harm", "table"), [(damage, "layers"), (damage, "sums"), (cut, "runs"), (cut, "sums"), (remove, "curves")]
)
def test_a_damaged_object_is_made_anew_and_no_other(done, uploaded, harm, table):
    campaign, there = uploaded
    name = sorted((there / table).iterdir(), key=str)[1]
    harm(name)
    before = objects(there)
    results = campaign.run(str(there), progress=False)
    assert_same(tables(results), tables(done[1]))
    after = objects(there)
    assert after.keys() == before.keys() | {f"{table}/{name.name}"}
    changed = {file for file in before if before[file] != after[file]}
    assert {Path(file).stem for file in changed} <= {name.stem, "info"}
    assert campaign.plan.shards == runner.complete_shards(campaign, there, campaign.digest, runner.shard_files.is_sound)


def test_status_sees_what_is_missing_and_leftovers_go(uploaded):
    campaign, there = uploaded
    whole = runner.status(Results(str(there)))
    assert whole["runs_done"] == campaign.runs
    name = shard_names(there)[0]
    (there / "runs" / "c0099-s000000.parquet").write_bytes((there / "runs" / name).read_bytes())
    (there / "runs" / name).unlink()
    (there / "layers" / shard_names(there)[1]).write_bytes(b"damaged")
    left = runner.status(Results(str(there)))
    assert left["shards_done"] == whole["shards_done"] - 2
    assert sum(left["outcomes"].values()) == left["runs_done"]
    refusal(lambda: Results(str(there)).layers, "layers/c", "gradsim resume s3://")
    campaign.run(str(there), progress=False)
    assert runner.status(Results(str(there))) == whole
    assert len(list((there / "runs").iterdir())) == len(campaign.plan.shards)


def test_a_finished_directory_is_left_as_it_is(uploaded):
    campaign, there = uploaded
    before = objects(there)
    campaign.run(str(there), progress=False)
    assert objects(there) == before


def test_an_empty_object_is_damage(uploaded):
    campaign, there = uploaded
    for table in ("runs", "layers"):
        (there / table / shard_names(there, table)[1]).write_bytes(b"")
    assert runner.status(Results(str(there)))["shards_done"] == len(campaign.plan.shards) - 1
    assert len(campaign.run(str(there), progress=False)) == campaign.runs


def test_queries_copy_what_they_name_once(uploaded, monkeypatch):
    campaign, there = uploaded
    results, real, asked = Results(str(there)), there.fs.cat_file, []
    monkeypatch.setattr(there.fs, "cat_file", lambda path, **options: asked.append(path) or real(path, **options))
    sql = "select outcome, count(*) as n from RUNS group by 1 order by n, 1"
    first = results.query(sql)
    assert len([path for path in asked if "parquet" in path]) == len(campaign.plan.shards)
    asked.clear()
    assert results.query(sql).equals(first)
    assert asked == []
    folder = results._folder
    assert folder.is_dir()
    del results
    assert not folder.exists()
    refusal(lambda: Results(str(there)).query(3), "is no SQL query")
    refusal(lambda: Results(str(there)).query("from nothing"), "nothing does not exist")


def test_a_footer_that_is_longer_than_what_is_looked_at(uploaded, monkeypatch):
    campaign, there = uploaded
    monkeypatch.setattr(places, "_TAIL", 100)
    assert runner.status(Results(str(there)))["runs_done"] == campaign.runs


def test_arrays_are_stored_beside_the_results(url, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    data = {"name": "arrays", "X": X, "y": (X.sum(axis=1) > 0).astype(int)}
    campaign = Campaign(**SMALL | {"dataset": data}, grid={"seed": range(3)})
    before = tables(campaign.run(tmp_path / "here", progress=False))
    there = campaign.run(url, progress=False)
    (there.path / "runs" / shard_names(there.path)[0]).unlink()
    assert_same(tables(Results(url).campaign.run(url, progress=False)), before)


@pytest.mark.parametrize("change", [{"steps": 21}, {"dataset": "wine"}])
def test_another_campaign_s_directory_is_refused(uploaded, change):
    _, there = uploaded
    other = small(**{"grid": GRID} | change)
    refusal(lambda: other.run(str(there), progress=False), str(there), "another campaign", "differing")


def test_a_directory_with_other_things_is_refused_and_left_alone(server, url):
    (places.place_of(url) / "thesis.tex").write_text("years of work")
    refusal(lambda: small().run(url, progress=False), url, "not empty")
    assert set(objects(places.place_of(url))) == {"thesis.tex"}


def test_memory(done, small_shards):
    campaign, here = done
    there = campaign.run("memory://some/where", progress=False)
    assert_same(tables(Results("memory://some/where")), tables(here))
    assert len(there.query("from runs")) == campaign.runs
    (there.path / "curves" / shard_names(there.path)[0]).write_bytes(b"")
    assert_same(tables(campaign.run("memory://some/where/", progress=False)), tables(here))
    fsspec.filesystem("memory").rm("/some", recursive=True)


def test_a_file_url_is_a_path(done, small_shards, tmp_path):
    campaign, here = done
    there = campaign.run(f"file://{tmp_path}/out", progress=False)
    assert there.path == tmp_path / "out"
    assert isinstance(there.path, Path)
    assert_same(tables(Results(f"file://{tmp_path}/out")), tables(here))
    assert (tmp_path / "out" / "lock").read_text() == ""


# --- the report and the command line --------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A campaign's file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flowers.toml"
    path.write_text(TOML)
    return path


def test_the_command_line(server, cli, file, url, tmp_path):
    answer = cli("run", file, "--out", url)
    assert answer.status == 0, answer.err
    assert answer.out.endswith(f"Report: {url}/report/index.html\n")
    place = places.place_of(url)
    page = (place / "report" / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    assert any(p.name.endswith(".png") for p in (place / "report" / "figures").iterdir())
    (place / "runs" / shard_names(place)[0]).unlink()
    assert "incomplete, " in cli("status", url).out
    assert cli("resume", url, "--quiet", "--no-report").status == 0
    assert "complete, 10 of 10 runs" in cli("status", url).out
    answer = cli("report", url, "--out", tmp_path / "page")
    assert answer.out.endswith(f"Report: {tmp_path / 'page' / 'index.html'}\n")
    assert {p.name for p in (tmp_path / "page" / "figures").iterdir()} == {
        p.name for p in (place / "report" / "figures").iterdir()
    }
    assert {p.name for p in tmp_path.iterdir()} == {"flowers.toml", "page"}
    assert_same(tables(Results(url)), tables(Campaign.from_toml(file).run("here", progress=False)))


# --- many machines --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(server):
    """Two worker processes, which know of the server by their environment."""
    pytest.importorskip("distributed", reason="needs distributed: pip install gradsim[dask]")
    with cluster.connected("local", 2) as made:
        yield made


def test_workers_write_to_it(client, url, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "TASK_SECONDS", 0.0)
    campaign = small(grid=GRID | {"width": range(3, 7)})
    here = tables(campaign.run(tmp_path / "here", progress=False))
    there = campaign.run(url, client=client, progress=False)
    assert_same(tables(there), here)
    (there.path / "runs" / shard_names(there.path)[0]).unlink()
    damage(there.path / "layers" / shard_names(there.path)[2])
    assert_same(tables(campaign.run(url, client=client, progress=False)), here)
    assert [p.name for p in there.path.iterdir()] == ["campaign.toml", "curves", "info.json", "layers", "runs", "sums"]


def test_arrays_reach_workers(client, url, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    data = {"name": "arrays", "X": X, "y": (X.sum(axis=1) > 0).astype(int)}
    campaign = Campaign(**SMALL | {"dataset": data}, grid={"width": [3, 4, 5], "seed": range(3)})
    there = campaign.run(url, client=client, progress=False)
    assert_same(tables(there), tables(campaign.run(tmp_path / "here", progress=False)))


def test_a_place_that_only_this_process_has(client):
    campaign = small(grid={"width": [3, 4]})
    try:
        refusal(
            lambda: campaign.run("memory://here/alone", client=client, progress=False),
            "is not the directory",
            "all machines reach",
            error=GradsimError,
        )
    finally:
        fsspec.filesystem("memory").rm("/here", recursive=True)


# --- the lock -------------------------------------------------------------------------------------

HOLDER = """
import sys
from gradsim import Results, directory, locks
locks.REFRESH_SECONDS = 0.1
results = Results(sys.argv[1])
with directory.opened(results.campaign, results.path):
    print("here", flush=True)
    sys.stdin.read()
"""


def hold(place):
    """A process that is at work on a directory."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], env=environment(), **pipes)
    assert holder.stdout.readline() == "here\n"
    return holder


def test_a_second_process_is_told_who_is_at_work(uploaded, fast_locks):
    campaign, there = uploaded
    (there / "runs" / shard_names(there)[0]).unlink()
    holder = hold(there)
    second = gradsim("resume", there, "--quiet", "--no-report")
    assert second.returncode == 1, second.stderr
    assert second.stderr == f"gradsim: {there}: process {holder.pid} on {os.uname().nodename} is at work on it\n"
    refusal(lambda: campaign.run(str(there), progress=False), f"process {holder.pid}", "at work", error=GradsimError)
    holder.communicate()
    assert not (there / "lock").exists()
    assert len(campaign.run(str(there), progress=False)) == campaign.runs


def test_a_killed_process_s_lock_is_no_lock(uploaded):
    campaign, there = uploaded
    (there / "runs" / shard_names(there)[0]).unlink()
    holder = hold(there)
    holder.kill()
    holder.communicate()
    assert (there / "lock").exists()
    started = time.monotonic()
    assert len(campaign.run(str(there), progress=False)) == campaign.runs
    assert time.monotonic() - started < locks.STALE_SECONDS / 2
    assert not (there / "lock").exists()


def test_a_lock_of_another_machine_is_waited_for(uploaded, fast_locks, capsys):
    campaign, there = uploaded
    (there / "runs" / shard_names(there)[0]).unlink()
    (there / "lock").write_text("process 1 on mars\n0 abc 17\n")
    assert len(campaign.run(str(there))) == campaign.runs
    said = capsys.readouterr().err
    assert said.startswith("process 1 on mars was at work here; waiting up to 1 s for a sign of it\n")


def test_two_who_take_over_at_once(uploaded, fast_locks):
    campaign, there = uploaded
    (there / "lock").write_text("process 1 on mars\n0 abc 17\n")
    found = []

    def go():
        try:
            with directory.opened(campaign, there) as check:
                time.sleep(0.5)
                check()
                found.append("worked")
        except GradsimError as error:
            found.append("at work" if "at work" in str(error) else error)

    both = [threading.Thread(target=go) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(found) == ["at work", "worked"]


def test_one_that_was_taken_for_dead_ends(url, small_shards, fast_locks, monkeypatch):
    campaign = small(grid=GRID)
    real, there = runner.networks_of, places.place_of(url)

    def pauses(*given):
        (there / "lock").write_text("process 1 on mars\n0 abc 17\n")
        time.sleep(0.5)
        return real(*given)

    monkeypatch.setattr(runner, "networks_of", pauses)
    refusal(
        lambda: campaign.run(url, threads=1, progress=False),
        "process 1 on mars has taken over",
        "kept",
        error=GradsimError,
    )
    assert (there / "lock").read_text().startswith("process 1 on mars")
    assert len(shard_names(there)) < len(campaign.plan.shards)


def test_a_server_that_knows_no_conditions(uploaded, fast_locks, monkeypatch):
    campaign, there = uploaded
    real = places.Remote.write_bytes

    def plain(self, content, new=False):
        if new:
            raise places.Unreachable(5, "A header you provided implies functionality that is not implemented")
        real(self, content)

    monkeypatch.setattr(places.Remote, "write_bytes", plain)
    with directory.opened(campaign, there):
        assert f"process {os.getpid()} on" in (there / "lock").read_text()
    assert not (there / "lock").exists()


def test_two_threads_of_one_process(url, server, fast_locks):
    campaign = small(grid={"seed": range(200)}, steps=2000)
    run_by_two_threads_at_once(campaign, url)
    assert len(Results(url)) == 200


def test_ctrl_c_gives_the_lock_back(url, server, tmp_path):
    import signal

    campaign = Campaign(dataset="iris", steps=20_000, batch_size=8, grid={"width": range(20, 36), "seed": range(64)})
    (tmp_path / "busy.toml").write_text(campaign.to_toml())
    process = subprocess.Popen(
        command("run", tmp_path / "busy.toml", "-o", url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    there = places.place_of(url)
    while not shard_names(there) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert time.monotonic() - started < 5
    assert err.splitlines()[-1].startswith("gradsim: interrupted; finished shards are kept")
    assert not (there / "lock").exists()


# --- what can fail --------------------------------------------------------------------------------


@pytest.fixture
def refuses_keys(server, monkeypatch):
    """The server asks for credentials that nobody has."""
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)


@pytest.fixture
def fresh(server):
    """Connections are made with the settings of a test, and forgotten after it."""
    forget()
    yield
    forget()


def each_command(cli, file, url, *fragments):
    """Every command says the same of a place, in one line."""
    complaint(cli("run", file, "-o", url, "-q"), url, "cannot be written", *fragments)
    for name in ("resume", "status", "report"):
        complaint(cli(name, url), url, "cannot be read", *fragments)
    with pytest.raises(UsageError, match="cannot be read"):
        Results(url)


def test_a_bucket_that_is_not_there(server, cli, file):
    each_command(cli, file, "s3://nowhere/out", "bucket does not exist")
    assert not places.place_of("s3://shelf/none").exists()
    complaint(cli("status", "s3://shelf/none"), "s3://shelf/none: no such directory")


def test_wrong_credentials(refuses_keys, cli, file):
    each_command(cli, file, "s3://shelf/out", "Access Key")


def test_no_credentials(fresh, cli, file, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    each_command(cli, file, "s3://shelf/out", "credentials")


def test_a_server_that_does_not_answer(fresh, cli, file, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    each_command(cli, file, "s3://shelf/out", "Could not connect", "127.0.0.1:1")


def test_a_server_that_goes_away_is_not_an_empty_directory(done, uploaded, monkeypatch):
    campaign, there = uploaded
    results = Results(str(there))
    real = there.fs.cat_file

    def away(path, **options):
        if "parquet" in path or "sums" in path:
            raise TimeoutError
        return real(path, **options)

    monkeypatch.setattr(there.fs, "cat_file", away)
    refusal(lambda: campaign.run(str(there), progress=False), str(there), "TimeoutError")
    with pytest.raises(OSError, match="TimeoutError"):
        runner.status(results)
    monkeypatch.undo()
    assert runner.status(results)["runs_done"] == campaign.runs


def test_a_server_that_takes_no_more(url, small_shards, monkeypatch):
    campaign = small(grid=GRID)
    fs = places.place_of(url).fs
    real = fs.pipe_file

    def full(path, content, **options):
        if "s000001.parquet" in path:
            raise OSError(28, "no more room")
        return real(path, content, **options)

    monkeypatch.setattr(fs, "pipe_file", full)
    message = refusal(lambda: campaign.run(url, threads=1, progress=False), "no more room", error=GradsimError)
    assert "s000001.parquet: cannot be written" in message
    monkeypatch.undo()
    there = places.place_of(url)
    assert 0 < len(shard_names(there)) < len(campaign.plan.shards)
    assert not (there / "lock").exists()
    assert len(campaign.run(url, progress=False)) == campaign.runs


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://b/d", "s3fs", "s3"), ("gs://b/d", "gcsfs", "gcs"), ("gcs://b/d", "gcsfs", "gcs")],
)
def test_without_the_extra(cli, file, monkeypatch, url, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition(":")[0], raising=False)
    says = f"{url}: needs the package {package}; pip install gradsim[{extra}]"
    complaint(cli("run", file, "-o", url, "-q"), says)
    complaint(cli("status", url), says)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    complaint(cli("status", url), says)


@pytest.mark.parametrize("url", ["nothing://b/d", "s3://"])
def test_urls_that_lead_nowhere(server, url):
    refusal(lambda: Results(url), url)
    refusal(lambda: small().run(url, progress=False), url)


def test_a_url_as_a_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refusal(lambda: small().run(Path("s3://shelf/out"), progress=False), "as text", "slash")
    assert not list(tmp_path.iterdir())


def test_local_directories_go_without_fsspec(tmp_path):
    (tmp_path / "flowers.toml").write_text(TOML)
    code = """
import sys
import gradsim, gradsim.cli, gradsim.cluster
sys.argv = ["gradsim", "run", "flowers.toml", "-o", "out", "-q", "--no-report"]
try:
    gradsim.cli.main()
except SystemExit as ended:
    assert not ended.code, ended.code
gradsim.Results("out").query("from runs")
print([name for name in ("fsspec", "upath", "s3fs", "gcsfs") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
