"""Activations as arguments of a benchmark's command line."""

from __future__ import annotations

import argparse


def add_names(parser: argparse.ArgumentParser) -> None:
    """Any number of activations, as `names`; aliases become the names that they stand for."""
    parser.add_argument("names", nargs="*", type=_name, metavar="NAME", help="activations; all where none is given")


def _name(text: str) -> str:
    from gradsim.activations import get
    from gradsim.errors import UsageError

    try:
        return get(text).name
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
