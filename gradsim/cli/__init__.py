"""The command line: parse, call, print. Data on stdout, progress and errors on stderr.

Exit status: 0 done, 1 failed, 2 usage, 130 after Ctrl-C with everything finished kept.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from gradsim.cli import campaigns, lookups
from gradsim.errors import GradsimError, UsageError

app = typer.Typer(
    name="gradsim",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train thousands of small neural networks side by side: who converged, saturated, died or diverged, and why.",
)


def _show_version(asked: bool) -> None:
    if asked:
        from gradsim.versions import package_version

        print(f"gradsim {package_version('gradsim')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What may stand before a command."""


for _command in (campaigns.run, campaigns.resume, campaigns.status, campaigns.report):
    app.command()(_command)
app.command(name="list")(lookups.list_names)
for _command in (lookups.plot, lookups.theory, lookups.recommend, lookups.doctor):
    app.command()(_command)


def main() -> None:
    """Entry point of the console script: errors become one line and an exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without "×" still gets the rest
    status = _status_of(sys.argv[1:] or ["--help"])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk can be told in a line; at exit Python would use its own words
    except OSError as error:
        _drop_output()
        if status == 0 and not isinstance(error, BrokenPipeError):
            _told(f"standard output: {error.strerror or error}", 1)
        status = status or 1
    raise SystemExit(status)


def _status_of(words: list[str]) -> int:
    """Exit status of a command line, which is run; errors are told."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status = app(args=words, prog_name="gradsim", standalone_mode=False)
    except UsageError as error:
        return _told(error, 2)
    except GradsimError as error:
        return _told(error, 1)
    except OSError as error:
        return _told(f"{error.filename or 'error'}: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # no mistake in the command line, but one of ours
            raise
        context = getattr(error, "ctx", None)
        helping = f"; see {context.command_path} --help" if context is not None else ""
        return _told(f"{error.format_message().rstrip('.')}{helping}", error.exit_code)
    if status == 130:
        return _told("interrupted; finished shards are kept, and the same command goes on", 130)
    return status or 0


def _drop_output() -> None:
    """What is still to be written goes nowhere, or Python would try once more at exit, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without where in the code it came from."""
    _told(message, 0)


def _told(error: Exception | str, status: int) -> int:
    """The status, once standard error has a line that says why."""
    print(f"gradsim: {' '.join(str(error).split())}", file=sys.stderr)
    return status
