"""All studies, one after the other: a table of their verdicts, and the gallery in reports/README.md.

    python reports/all.py --quick
    python reports/all.py linear_collapse symmetry --record

Exits with 1 where a verdict is not the recorded one. `--record` writes what came out into verdicts.json, pictures/ and
README.md; without it nothing but the results directory is written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from study import HERE, Study, as_recorded, conduct, default_folder

from gradsim.analysis import words
from gradsim.errors import UsageError, did_you_mean

RECORDS, PICTURES, GALLERY = HERE / "verdicts.json", HERE / "pictures", HERE / "README.md"


def names() -> list[str]:
    """The files beside this one that define a study."""
    defines = re.compile(r"^STUDY = Study\(", re.MULTILINE)
    return sorted(path.stem for path in HERE.glob("*.py") if defines.search(path.read_text(encoding="utf-8")))


def studies(chosen: Iterable[str] = ()) -> list[Study]:
    """The studies of these names, or all, in the order of the gallery."""
    known = names()
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown study {name!r}{did_you_mean(name, known)}")
    found = [importlib.import_module(name).STUDY for name in chosen or known]
    return sorted(found, key=lambda study: study.order)


def row(record: Mapping[str, Any]) -> str:
    """A line of the table."""
    mark = "" if as_recorded(record) else f"   NOT AS RECORDED: {record['expected']}"
    return f"{record['name']:<24}{record['word']:<18}{record['networks']:>9,}{record['seconds']:>8.1f} s{mark}"


# --- the gallery ----------------------------------------------------------------------------------


def records() -> dict[str, dict[str, Any]]:
    """What is recorded, by name, in the order of the gallery."""
    found = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
    return dict(sorted(found.items(), key=lambda item: item[1]["order"]))


def keep(record: Mapping[str, Any], folder: Path) -> None:
    """Record a verdict and its picture."""
    PICTURES.mkdir(exist_ok=True)
    shutil.copyfile(folder / "picture.png", PICTURES / f"{record['name']}.png")
    kept = records() | {record["name"]: dict(record)}
    kept = dict(sorted(kept.items(), key=lambda item: item[1]["order"]))
    RECORDS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def gallery() -> str:
    """reports/README.md of what is recorded."""
    environment = jinja2.Environment(  # plain Markdown: nothing to escape
        loader=jinja2.FileSystemLoader(HERE), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    kept = list(records().values())
    chapters = {
        "The founding texts' claims": [r for r in kept if r["order"] < 100],
        "Classic results": [r for r in kept if r["order"] >= 100],
    }
    return environment.get_template("README.md.j2").render(
        chapters={k: v for k, v in chapters.items() if v},
        networks=words.count(sum(r["networks"] for r in kept)),
        minutes=round(sum(r["seconds"] for r in kept) / 60),
        machine=words.join(sorted({r["machine"] for r in kept})),
    )


def main(argv: list[str] | None = None) -> int:
    """Run, print, record; 0 where all verdicts are the recorded ones, 2 where something could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies; all where none is given")
    parser.add_argument("--quick", action="store_true", help="smaller grids that still decide")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results, a folder a study (default: results/studies)")
    parser.add_argument("--record", action="store_true", help="update verdicts.json, pictures/ and README.md")
    parser.add_argument("--gallery", action="store_true", help="write README.md of what is recorded, run nothing")
    given = parser.parse_args(argv)
    if given.record and given.quick:
        parser.error("--record is for full studies; leave out --quick")
    begun, failed = time.perf_counter(), 0
    try:
        for study in [] if given.gallery else studies(given.names):
            folder = given.out / study.name if given.out else default_folder(study.name)
            record = conduct(study, folder, given.quick)
            print(row(record), flush=True)
            failed += not as_recorded(record)
            if given.record:
                keep(record, folder)
        if given.record or given.gallery:
            GALLERY.write_text(gallery(), encoding="utf-8")
    except UsageError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{time.perf_counter() - begun:.0f} s{f', {failed} not as recorded' if failed else ''}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
