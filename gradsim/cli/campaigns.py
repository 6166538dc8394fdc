"""Commands of campaigns and their results: run, resume, status, report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gradsim.cli.options import Dask, Directory, Json, NoReport, Quiet, Threads
from gradsim.cli.output import print_json
from gradsim.errors import UsageError


def run(
    file: Annotated[Path, typer.Argument(help="A campaign in TOML.", metavar="FILE")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Results directory, or s3://BUCKET/DIR; results/NAME by default.", metavar="DIR"
        ),
    ] = None,
    threads: Threads = None,
    dask: Dask = None,
    quiet: Quiet = False,
    no_report: NoReport = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it will cost, measured in a few seconds.")
    ] = False,
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
    results = _results(campaign, out or str(Path("results") / campaign.name), threads, dask, quiet)
    _tell(results, no_report, as_json)


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


def _results(campaign, path: str, threads: int | None, dask: str | None, quiet: bool):
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
        from gradsim.runner import status

        print_json(
            {
                "path": str(results.path),
                "runs": len(results),
                "outcomes": status(results)["outcomes"],
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
        print_json(dataclasses.asdict(found))
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


def status(directory: Directory, as_json: Json = False) -> None:
    """How much of a campaign is done."""
    from gradsim.results import Results
    from gradsim.runner import status as read_status

    found = read_status(Results(directory))
    if as_json:
        print_json(found)
        return
    state = "complete" if found["runs_done"] == found["runs"] else "incomplete"
    print(f"{found['name']}: {state}, {found['runs_done']:,} of {found['runs']:,} runs")
    print(f"shards: {found['shards_done']} of {found['shards']}")
    for name, count in found["outcomes"].items():
        print(f"{name}: {count:,}")


def report(
    directories: Annotated[
        list[str], typer.Argument(help="A results directory, or its URL; two with --against.", metavar="DIR")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Where to write it; DIR/report by default.", metavar="DIR")
    ] = None,
    explore: Annotated[
        bool, typer.Option("--explore", help='Write explore.html, too: runs to brush and click (the extra "explore").')
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Write figures as svg or pdf, too; may be repeated.", metavar="svg|pdf"),
    ] = None,
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
        _compare(directories, out, explore, formats or ())
        return
    if len(directories) > 1:
        raise UsageError(f"{directories[1]}: one directory a report; to compare two give --against")
    from gradsim.analysis import findings
    from gradsim.report import report as write_report

    results = Results(directories[0])
    page = write_report(results, out, explore, formats or ())
    for line in findings(results):
        print(line)
    print(f"Report: {page}")
    if explore:
        print(f"Explorer: {page.parent / 'explore.html'}")


def _compare(directories: list[str], out: str | None, explore: bool, formats: Sequence[str]) -> None:
    """Two campaigns, paired by settings and seed."""
    from gradsim.analysis.against import change_findings
    from gradsim.report.against import pairs_of, write_comparison
    from gradsim.results import Results

    if explore:
        raise UsageError("--explore: is of one directory; leave --against out")
    if len(directories) != 2:
        raise UsageError(f"--against: compares two directories, before and after; {len(directories)} given")
    before, after = map(Results, directories)
    pairs = pairs_of(before, after)
    page = write_comparison(before, after, out, pairs, formats)
    for line in change_findings(pairs):
        print(line)
    print(f"Comparison: {page}")
