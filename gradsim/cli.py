"""The command line: parse, call, print. Data on stdout, progress and errors on stderr.

Exit status: 0 done, 1 failed, 2 usage, 130 after Ctrl-C with everything finished kept.
"""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from gradsim.errors import GradsimError, UsageError, did_you_mean

app = typer.Typer(
    name="gradsim",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train thousands of small neural networks side by side: who converged, saturated, died or diverged, and why.",
)

Threads = Annotated[int | None, typer.Option("--threads", "-t", help="Worker threads; all cores by default.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", help="Run on a Dask cluster: its scheduler's address, or local.", metavar="ADDRESS"),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave the report out.")]
Directory = Annotated[Path, typer.Argument(help="A results directory that gradsim run has written.", metavar="DIR")]


def main() -> None:
    """Entry point of the console script: errors become one line and an exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without "×" still gets the rest
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status = app(args=sys.argv[1:] or ["--help"], prog_name="gradsim", standalone_mode=False)
    except UsageError as error:
        _fail(error, 2)
    except GradsimError as error:
        _fail(error, 1)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as error:
        _fail(f"{error.filename or 'error'}: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # no mistake in the command line, but one of ours
            raise
        context = getattr(error, "ctx", None)
        helping = f"; see {context.command_path} --help" if context is not None else ""
        _fail(f"{error.format_message().rstrip('.')}{helping}", error.exit_code)
    if status == 130:
        print("gradsim: interrupted; finished shards are kept, and the same command goes on", file=sys.stderr)
    raise SystemExit(status or 0)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without where in the code it came from."""
    print(f"gradsim: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(error: Exception | str, status: int) -> None:
    print(f"gradsim: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(status) from None


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A campaign in TOML.", metavar="FILE")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Results directory; results/NAME by default.")] = None,
    threads: Threads = None,
    dask: Dask = None,
    quiet: Quiet = False,
    no_report: NoReport = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it will cost, measured in 2 s.")] = False,
    as_json: Json = False,
) -> None:
    """Run a campaign, print what was found, write the report.

    Running again goes on where it stopped. Example: [bold]gradsim run reports/digits.toml[/bold]
    """
    from gradsim.campaign import Campaign

    campaign = Campaign.from_toml(file)
    if dry_run:
        if dask is not None:
            raise UsageError("--dry-run: measures this machine; leave --dask out")
        _dry_run(campaign, threads, as_json)
        return
    results = _results(campaign, out or Path("results") / campaign.name, threads, dask, quiet)
    _tell(results, no_report, as_json)


@app.command()
def resume(
    directory: Directory,
    threads: Threads = None,
    dask: Dask = None,
    quiet: Quiet = False,
    no_report: NoReport = False,
    as_json: Json = False,
) -> None:
    """Go on with a campaign that was interrupted."""
    from gradsim.results import Results

    results = _results(Results(directory).campaign, directory, threads, dask, quiet)
    _tell(results, no_report, as_json)


def _results(campaign, path: Path, threads: int | None, dask: str | None, quiet: bool):
    """Run a campaign, here or on a cluster."""
    from gradsim.runner import threads_of

    if dask is None:
        if not quiet:
            print(_estimate(campaign, threads_of(threads)), file=sys.stderr)
        return campaign.run(path, threads=threads, progress=not quiet)
    from gradsim import cluster

    with cluster.connected(dask, threads) as client:
        if not quiet:
            print(_estimate(campaign, cluster.threads_of(client)), file=sys.stderr)
        return campaign.run(path, client=client, progress=not quiet)


def _tell(results, no_report: bool, as_json: bool) -> None:
    """Print what was found, write the report."""
    from gradsim.analysis import findings

    found = findings(results)
    page = None
    if not no_report:
        from gradsim.report import report as write_report

        page = write_report(results)
    if as_json:
        counts = {str(k): int(v) for k, v in results.runs["outcome"].value_counts().items()}
        _print_json(
            {
                "path": str(results.path),
                "runs": len(results),
                "outcomes": counts,
                "findings": found,
                "report": None if page is None else str(page),
            }
        )
        return
    for line in found:
        print(line)
    if page is not None:
        print(f"Report: {page}")


def _dry_run(campaign, threads: int | None, as_json: bool) -> None:
    """What a campaign will cost on this machine."""
    import dataclasses

    from gradsim.estimate import estimate
    from gradsim.progress import duration

    found = estimate(campaign, threads)
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    print(f"{campaign.name}: {found.runs:,} networks {found.networks}")
    print(f"work    {found.flops:.3g} floating-point operations; {found.cohorts:,} cohorts, {found.shards:,} shards")
    print(f"time    about {duration(found.seconds)} on {found.threads} threads, without compiling and the report")
    print(f"memory  about {found.memory_bytes / 1e6:,.0f} MB")
    print(f"disk    about {found.disk_bytes / 1e6:,.1f} MB")


def _estimate(campaign, threads: int) -> str:
    """One line before the start: how many runs, of what, for how long."""
    from gradsim.progress import duration

    plan = campaign.plan
    plan.check_data()
    took = f", about {duration(plan.nominal_seconds() / threads)}" if threads else ""
    return f"{campaign.name}: {plan.size:,} networks {plan.describe_networks()}{took}"


@app.command()
def status(directory: Directory, as_json: Json = False) -> None:
    """How much of a campaign is done."""
    from gradsim.results import Results
    from gradsim.runner import status as read_status

    found = read_status(Results(directory))
    if as_json:
        _print_json(found)
        return
    state = "complete" if found["runs_done"] == found["runs"] else "incomplete"
    print(f"{found['name']}: {state}, {found['runs_done']:,} of {found['runs']:,} runs")
    print(f"shards: {found['shards_done']} of {found['shards']}")
    for name, count in found["outcomes"].items():
        print(f"{name}: {count:,}")


@app.command()
def report(
    directories: Annotated[list[Path], typer.Argument(help="A results directory; two with --against.", metavar="DIR")],
    explore: Annotated[
        bool, typer.Option("--explore", help='Write explore.html, too: runs to brush and click (the extra "explore").')
    ] = False,
    against: Annotated[
        bool, typer.Option("--against", help="Compare two directories run by run: what the second changed.")
    ] = False,
) -> None:
    """Write the report of a results directory anew, and print its findings.

    Examples: [bold]gradsim report results/digits --explore[/bold],
    [bold]gradsim report results/sgd results/adam --against[/bold]
    """
    from gradsim.results import Results

    if against:
        _compare(directories, explore)
        return
    if len(directories) > 1:
        raise UsageError(f"{directories[1]}: one directory a report; to compare two give --against")
    from gradsim.analysis import findings
    from gradsim.report import report as write_report

    results = Results(directories[0])
    page = write_report(results, explore=explore)
    for line in findings(results):
        print(line)
    print(f"Report: {page}")
    if explore:
        print(f"Explorer: {page.parent / 'explore.html'}")


def _compare(directories: list[Path], explore: bool) -> None:
    """Two campaigns, paired by settings and seed."""
    from gradsim.analysis.against import change_findings
    from gradsim.report.against import pairs_of, write_comparison
    from gradsim.results import Results

    if explore:
        raise UsageError("--explore: is of one directory; leave --against out")
    if len(directories) != 2:
        raise UsageError(f"--against: compares two directories, before and after; {len(directories)} given")
    before, after = map(Results, directories)
    page = write_comparison(before, after)
    for line in change_findings(pairs_of(before, after)):
        print(line)
    print(f"Comparison: {page}")


@app.command(name="list")
def list_names(
    kind: Annotated[str, typer.Argument(help="activations, initializers, losses, optimizers, schedules or datasets.")],
    match: Annotated[str | None, typer.Option("--match", "-m", help="Only rows that hold this text.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be named in a campaign; --json has the formulas, too.

    Example: [bold]gradsim list activations --match learned[/bold]
    """
    from gradsim.listing import KINDS, listing, matching

    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}{did_you_mean(kind, KINDS)}")
    rows = listing(kind)
    shown = rows if match is None else matching(rows, match)
    if as_json:
        _print_json(shown)
    elif kind == "activations":
        _print_activations(shown, len(rows))
    elif shown:
        # Formulas are LaTeX: for programs, and for those who typeset it.
        _print_table([{name: value for name, value in row.items() if name != "formula"} for row in shown])
    else:
        print(f"none of {len(rows)} {kind} holds {match!r}")


@app.command()
def plot(
    names: Annotated[
        list[str] | None,
        typer.Argument(help='Activations: relu, "leaky_relu(slope=0.2)", or mine="z*sin(z)".', metavar="NAME"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .png, .svg or .pdf file; NAMES.png by default.")
    ] = None,
    ends: Annotated[
        tuple[float, float], typer.Option("--range", help="Lowest and highest pre-activation.", metavar="LOW HIGH")
    ] = (-5.0, 5.0),
    unit_step: Annotated[bool, typer.Option("--unit-step", help="Draw how W and b move a unit's step.")] = False,
    staircase: Annotated[
        bool, typer.Option("--staircase", help="Draw how sums of steps approximate a function.")
    ] = False,
    dark: Annotated[bool, typer.Option("--dark", help="On dark paper.")] = False,
) -> None:
    """Draw activations, value and slope side by side, with kinks and saturated zones.

    Example: [bold]gradsim plot relu gelu mine="z*sin(z)" -o out.png[/bold]
    """
    if bool(names) + unit_step + staircase != 1:
        raise UsageError("plot: give either activations, or --unit-step, or --staircase")
    path = _picture(out or Path(_file_name(names) if names else "unit_step.png" if unit_step else "staircase.png"))
    from gradsim import plots

    theme = "dark" if dark else "light"
    if names:
        figure = plots.activations(names, *ends, theme=theme)
    else:
        figure = (plots.unit_step if unit_step else plots.staircase)(theme=theme)
    _save(figure, path)
    print(path)


def _picture(path: Path) -> Path:
    """The path of a figure that can be written there, by its name."""
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"out = {str(path)!r}: the name must end in {', '.join(PICTURES)}")
    return path


def _save(figure, path: Path) -> None:
    """Write a figure; the same one is the same file, without a date and numbers drawn by chance."""
    import matplotlib as mpl

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"out = {str(path)!r}: must be a file in a directory that exists")
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with mpl.rc_context({"svg.hashsalt": "gradsim"}):
        figure.savefig(path, dpi=200, metadata=dates.get(path.suffix.lower()))


PICTURES = (".png", ".svg", ".pdf")


def _file_name(names: list[str]) -> str:
    """relu-gelu.png: what was drawn, by the words that open each name."""
    stems = [re.match(r"\s*(\w*)", name)[1] for name in names]
    return f"{'-'.join(dict.fromkeys(filter(None, stems)))[:80] or 'activations'}.png"


@app.command()
def theory(
    names: Annotated[list[str], typer.Argument(help='Activations: tanh, "leaky_relu(slope=0.2)", "mine=z*sin(z)".')],
    sigma_b: Annotated[float, typer.Option(help="Standard deviation of the biases.")] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the phases, too: a .png, .svg or .pdf file.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw on dark paper.")] = False,
    as_json: Json = False,
) -> None:
    """Show what mean-field theory says of activations: gain, edge of chaos, fixed points, depth scales.

    Example: [bold]gradsim theory tanh gelu mine="z*sin(z)" -o phases.png[/bold]
    """
    path = None if out is None else _picture(out)
    from gradsim.theory import theory_table

    rows = theory_table(names, sigma_b).to_dict("records")
    if path is not None:
        from gradsim import plots

        _save(plots.phase_diagrams(names, sigma_b, theme="dark" if dark else "light"), path)
    if as_json:
        _print_json([{k: None if v != v or v in (math.inf, -math.inf) else v for k, v in row.items()} for row in rows])
        return
    # One column an activation: a dozen numbers each, and reasons where there is none.
    told = [{"": key} | {row["activation"]: _shown(row[key]) for row in rows} for key in rows[0] if key != "activation"]
    _print_table(told)
    if path is not None:
        print(path)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "none" if math.isnan(value) else f"{value:.6g}"
    return "none" if value is None else str(value)


OF_ONE_NUMBER = 'relu, mine="z*sin(z)", any; may be repeated. Not those of whole layers, as softmax and maxout.'


@app.command()
def recommend(
    activations: Annotated[
        list[str] | None,
        typer.Option("--activation", "-a", help=OF_ONE_NUMBER, metavar="NAME"),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="A data set, or a CSV, Parquet or .npz file; digits by default.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of a file to predict; by default the last.")] = None,
    features: Annotated[int | None, typer.Option(help="Inputs, where only the shape of the data is known.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes of such data.")] = None,
    outputs: Annotated[int | None, typer.Option(help="Outputs of such data, for regression.")] = None,
    samples: Annotated[int | None, typer.Option(help="Rows of such data; 1000 by default.")] = None,
    depth: Annotated[int, typer.Option(help="Hidden layers.")] = 5,
    width: Annotated[int, typer.Option(help="Units of each.")] = 32,
    batch_size: Annotated[int | None, typer.Option(help="64 by default, or all rows where there are fewer.")] = None,
    steps: Annotated[int, typer.Option(help="Within which networks have to converge.")] = 1000,
    seeds: Annotated[int, typer.Option(help="Fresh ones that the recommendation is verified with.")] = 64,
    code: Annotated[
        str | None, typer.Option(help="Print only a program with the settings: pytorch, keras or jax.")
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Recommend initializer, optimizer and learning rate for a network, verified, and say what to avoid and why.

    Theory narrows, small campaigns decide. Example: [bold]gradsim recommend -a tanh --depth 20 --data digits[/bold]
    """
    from gradsim.advice import recommend as advise
    from gradsim.advice.ask import chosen_data, chosen_framework

    framework = chosen_framework(code, as_json)
    shape = {"features": features, "classes": classes, "outputs": outputs, "samples": samples}
    given = chosen_data(data, target, shape)
    rest = {"batch_size": batch_size, "threads": threads, "progress": not quiet}
    found = advise(activations or "any", given, depth, width, steps=steps, seeds=seeds, **rest)
    if as_json:
        _print_json(found.to_dict())
    elif framework is not None:
        print(found.code(framework), end="")
    else:
        from gradsim.advice.text import show

        show(found)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show versions, processor, cache, and the machine's multiply-add peak, measured."""
    from gradsim.doctor import examine

    found = examine()
    if as_json:
        _print_json(found)
        return
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key:{width}}  {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def _print_activations(rows: list[dict[str, object]], total: int) -> None:
    from rich.console import Console

    from gradsim.listing import activation_table

    if rows:
        Console(width=None if sys.stdout.isatty() else 100).print(activation_table(rows))
    print(f"{len(rows)} of {total} activations" if len(rows) < total else f"{total} activations")


def _print_table(rows: list[dict[str, object]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text(", ".join(map(str, v)) if isinstance(v, list) else str(v)) for v in row.values()])
    Console(width=None if sys.stdout.isatty() else 160).print(table)
