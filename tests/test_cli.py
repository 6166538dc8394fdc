"""The command line: what each command prints where, exit statuses, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_help import command, environment, gradsim, shard_names
from cli_help import complaint

from gradsim import Results
from gradsim import cli as cli_module
from gradsim import plan as plan_module
from gradsim.listing import KINDS
from gradsim.versions import package_version

CAMPAIGN = """
name = "flowers"
dataset = "iris"
depth = 2
width = 5
steps = 60
batch_size = 16

[grid]
activation = ["relu", "sigmoid"]
learning_rate = {geomspace = [0.01, 1, 2]}
seed = {range = 4}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A campaign's file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flowers.toml"
    path.write_text(CAMPAIGN)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished results directory, for reading only."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "flowers.toml").write_text(CAMPAIGN)
    from gradsim import Campaign

    Campaign.from_toml(folder / "flowers.toml").run(folder / "results", progress=False)
    return folder / "results"


# --- run, resume, status, report ------------------------------------------------------------------


def test_run_prints_findings_and_writes_results_and_report(cli, file):
    answer = cli("run", file.name)
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert 2 <= len(lines) <= 11
    assert "16 runs" in answer.out
    assert lines[-1] == f"Report: {os.path.join('results', 'flowers', 'report', 'index.html')}"
    assert (file.parent / "results" / "flowers" / "report" / "index.html").stat().st_size > 10_000
    estimate, started, *_, last = answer.err.splitlines()
    assert estimate.startswith("flowers: 16 networks 4-5-5-3, about ")
    assert started == "16 runs"
    assert last.startswith("16/16 runs")
    assert "\x1b" not in answer.err + answer.out


def test_run_again_only_prints(cli, file):
    first = cli("run", file.name, "--no-report")
    again = cli("run", file.name, "--no-report")
    assert again.status == 0
    assert again.out == first.out
    assert again.err.splitlines() == first.err.splitlines()[:1]


def test_quiet_leaves_stderr_empty(cli, file):
    answer = cli("run", file.name, "--quiet", "--no-report", "--threads", 1)
    assert answer.status == 0
    assert answer.err == ""
    assert "Report" not in answer.out
    assert not (file.parent / "results" / "flowers" / "report").exists()


def test_run_as_json(cli, file):
    answer = cli("run", file.name, "-o", "here", "--json", "-t", "2")
    assert answer.status == 0
    found = json.loads(answer.out)
    assert found["path"] == "here"
    assert found["runs"] == 16 == sum(found["outcomes"].values())
    assert found["report"] == os.path.join("here", "report", "index.html")
    assert all(isinstance(line, str) for line in found["findings"])


def test_status_and_resume(cli, file, monkeypatch):
    monkeypatch.setattr(plan_module, "SHARD_SECONDS", 1e-9)
    cli("run", file.name, "-q", "--no-report", "-o", "r")
    names = shard_names(file.parent / "r")
    assert len(names) == 2
    assert cli("status", "r").out.splitlines()[:2] == ["flowers: complete, 16 of 16 runs", "shards: 2 of 2"]

    (file.parent / "r" / "runs" / names[0]).unlink()
    answer = cli("status", "r")
    assert answer.status == 0
    assert answer.err == ""
    assert answer.out.splitlines()[0] == "flowers: incomplete, 8 of 16 runs"
    found = json.loads(cli("status", "r", "--json").out)
    assert (found["runs"], found["runs_done"], found["shards"], found["shards_done"]) == (16, 8, 2, 1)
    assert sum(found["outcomes"].values()) == 8

    file.unlink()  # the directory has all that is needed
    answer = cli("resume", "r", "--no-report")
    assert answer.status == 0
    assert answer.err.splitlines()[1] == "16 runs, 8 already there"
    assert json.loads(cli("status", "r", "--json").out)["runs_done"] == 16
    again = json.loads(cli("resume", "r", "--json", "--quiet", "--no-report").out)
    assert (again["runs"], again["report"]) == (16, None)


def test_status_before_the_first_shard(cli, file):
    cli("run", file.name, "-q", "--no-report", "-o", "r")
    for name in shard_names(file.parent / "r"):
        (file.parent / "r" / "runs" / name).unlink()
    answer = cli("status", "r")
    assert answer.status == 0
    assert answer.out.splitlines()[0] == "flowers: incomplete, 0 of 16 runs"
    assert json.loads(cli("status", "r", "--json").out)["outcomes"] == {}
    complaint(cli("report", "r"), "no finished shard", "gradsim resume r")


def test_figures_of_a_report_as_svg_and_pdf(cli, file, tmp_path):
    assert cli("run", file, "--no-report", "-o", tmp_path / "out").status == 0
    said = cli("report", tmp_path / "out", "-o", tmp_path / "page", "--format", "svg", "--format", "pdf")
    assert said.status == 0, said.err
    figures = tmp_path / "page" / "figures"
    names = {path.stem for path in figures.glob("*.png")}
    assert "convergence" in names
    for kind, opening in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert {path.stem for path in figures.glob(f"*.{kind}")} == names
        assert all(path.read_bytes().startswith(opening) for path in figures.glob(f"*.{kind}"))
    said = cli("report", tmp_path / "out", "--format", "gif")
    assert (said.status, said.err) == (2, "gradsim: formats = ['gif']: each must be svg or pdf\n")


def test_report_writes_the_page_anew(cli, finished):
    answer = cli("report", finished)
    assert answer.status == 0
    assert answer.err == ""
    assert answer.out.splitlines()[-1] == f"Report: {finished / 'report' / 'index.html'}"
    assert (finished / "report" / "index.html").exists()


# --- list, doctor, help ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_list_names_every_entry(cli, kind):
    from gradsim.fields import table_of

    entries = table_of({"losses": "loss"}.get(kind, kind.removesuffix("s")))
    shown = cli("list", kind)
    assert (shown.status, shown.err) == (0, "")
    rows = json.loads(cli("list", kind, "--json").out)
    assert [row["name"] for row in rows] == list(entries)
    for row, entry in zip(rows, entries.values(), strict=True):
        assert row["name"] in shown.out
        assert len(row) >= 4
        assert row.get("aliases", []) == list(getattr(entry, "aliases", ()))
        assert len(row.get("parameters", [])) == len(getattr(entry, "parameters", ()))


def test_list_is_strict_json(cli):
    for kind in KINDS:
        json.loads(cli("list", kind, "--json").out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_doctor(cli):
    found = json.loads(cli("doctor", "--json").out)
    assert found["cores"] == os.cpu_count()
    assert {"gradsim", "numba", "numpy", "python"} <= set(found["versions"])
    assert found["cache writable"] in (True, False)
    peaks = [v for k, v in found.items() if "FMA peak" in k]
    assert len(peaks) == 3
    for peak in peaks:
        assert float(peak.removesuffix(" GFLOP/s")) > 0.5
    shown = cli("doctor")
    assert (shown.status, shown.err) == (0, "")
    assert {line.split("  ")[0] for line in shown.out.splitlines()} == set(found)


def test_the_version_alone(cli):
    answer = cli("--version")
    assert (answer.status, answer.out, answer.err) == (0, f"gradsim {package_version('gradsim')}\n", "")


def test_help_is_on_stdout(cli):
    for arguments in ((), ("--help",), ("-h",), ("run", "--help")):
        answer = cli(*arguments)
        assert (answer.status, answer.err) == (0, "")
        assert "run" in answer.out
    for name in ("run", "resume", "status", "report", "list", "doctor"):
        assert name in cli("--help").out


# --- mistakes in the command itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("runn", "x.toml"), ("runn", "run")),
        (("run",), ("FILE",)),
        (("run", "x.toml", "y.toml"), ("y.toml",)),
        (("run", "x.toml", "--thread", "2"), ("--thread", "--threads")),
        (("run", "x.toml", "--threads", "two"), ("--threads", "integer")),
        (("run", "x.toml", "--threads"), ("--threads",)),
        (("list",), ("argument", "list --help")),
        (("list", "activation"), ("activation", "activations")),
        (("list", "everything"), ("everything", "losses")),
        (("--jsno",), ("--jsno",)),
        (("resume", "nowhere"), ("nowhere", "no such directory")),
        (("status", "nowhere"), ("nowhere", "no such directory")),
        (("report", "nowhere"), ("nowhere", "no such directory")),
        (("status", "."), ("holds no campaign.toml",)),
        (("run", "nowhere.toml"), ("nowhere.toml", "No such file")),
        (("run", "."), (".", "directory")),
    ],
)
def test_mistakes_are_one_line_and_status_2(cli, file, arguments, fragments):
    complaint(cli(*arguments), *fragments)


@pytest.mark.parametrize("threads", ["0", "-1", "5000"])
def test_threads_out_of_bounds(cli, file, threads):
    complaint(cli("run", file.name, "-t", threads), f"threads = {threads}", "1 to 1024")
    complaint(cli("run", file.name, "-q", "-t", threads), f"threads = {threads}", "1 to 1024")
    assert not (file.parent / "results").exists()


def test_a_failure_that_is_no_mistake_is_status_1(cli, file, monkeypatch):
    from gradsim import runner

    def fails(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(runner, "networks_of", fails)
    complaint(cli("run", file.name, "-q"), "shard c0000-s000000", "out of luck", "resuming", status=1)


def test_ctrl_c_is_130_and_one_line(cli, file, monkeypatch):
    from gradsim import runner

    def interrupts(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "complete_shards", interrupts)
    complaint(cli("run", file.name, "-q"), "interrupted", "goes on", status=130)


def test_trouble_with_the_system_is_one_line(cli, file, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "report/index.html")

    monkeypatch.setattr("gradsim.report.report", full)
    complaint(cli("run", file.name, "-q"), "report/index.html", "No space left", status=1)


def test_a_fault_of_ours_is_not_hidden(file, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gradsim", "list", "losses"])
    monkeypatch.setattr(cli_module.lookups, "print_table", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli_module.main()


# --- in a process of its own ----------------------------------------------------------------------


def test_python_m_gradsim(file):
    done = gradsim("run", file.name, "--no-report", cwd=file.parent)
    assert done.returncode == 0, done.stderr
    assert "16 runs" in done.stdout
    assert done.stderr.startswith("flowers: 16 networks")
    assert len(Results(file.parent / "results" / "flowers")) == 16
    bad = gradsim("run", "nothing.toml", cwd=file.parent)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "gradsim: nothing.toml: No such file or directory\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["list datasets --json", "list activations --json", "--version", "--help"])
def test_a_closed_pipe_is_no_traceback(words, unbuffered):
    writer = subprocess.Popen(
        command(*words.split()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED=unbuffered),
        text=True,
    )
    writer.stdout.close()
    errors = writer.stderr.read()
    writer.stderr.close()
    assert (writer.wait(), errors) == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told_once(unbuffered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("list", "datasets", "--json"),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(PYTHONUNBUFFERED=unbuffered),
            text=True,
        )
    assert done.returncode == 1
    assert re.fullmatch(r"gradsim: .*No space left on device\n", done.stderr)


def test_a_terminal_without_unicode_gets_the_text(finished):
    done = subprocess.run(
        command("report", finished),
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C"),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert b"Report: " in done.stdout


def test_nothing_moves_where_there_is_no_terminal(file):
    done = gradsim("run", file.name, "--no-report", cwd=file.parent)
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
