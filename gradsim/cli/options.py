"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Threads = Annotated[int | None, typer.Option("--threads", "-t", help="Worker threads; all cores by default.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", help="Run on a Dask cluster: its scheduler's address, or local.", metavar="ADDRESS"),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave the report out.")]
# Text: a path would take a slash of a URL away.
Directory = Annotated[
    str, typer.Argument(help="A results directory that gradsim run has written, or its URL.", metavar="DIR")
]
