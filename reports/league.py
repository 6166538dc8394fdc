"""The league: which activation should I use, in shallow, deep and narrow networks?

    python reports/league.py --quick
    python reports/league.py --record

Three ordinary campaigns, league.toml, league-diabetes.toml and league-deep.toml, try every activation of the
catalogue with three initializers and eight learning rates on four data sets in several shapes. In each of these tasks
an activation's best setting is trained again from sixteen fresh seeds, and those runs alone rank. Stopped, the same
command goes on. The page is results/league.html; `--record` keeps it as reports/league/README.md, with pictures and
the table of all.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "league"))

from league_page import Made, write_page, write_record  # noqa: E402
from standings import CHOICE, TASK, choose, field_of  # noqa: E402
from step_time import step_times  # noqa: E402

import gradsim as gs  # noqa: E402
from gradsim import tomlfile  # noqa: E402
from gradsim.errors import UsageError  # noqa: E402
from gradsim.versions import cpu_name, package_version  # noqa: E402

FILES = ("league.toml", "league-diabetes.toml", "league-deep.toml")
FRESH = range(100, 116)  # a full group of networks, of which the search has seen none
QUICK = {
    "activation": [
        *("identity", "relu", "leaky_relu", "elu", "selu", "gelu"),
        *("maxout", "prelu", "rrelu", "softplus", "tanh", "sigmoid"),
    ],
    "dataset": ["iris", "wine"],
    "depth": [1, 10],
    "width": [16, 4],
    "initializer": ["he_normal", "data_dependent"],
    "learning_rate": gs.geomspace(1e-3, 1, 4),
    "seed": range(2),
}
COLUMNS = [*TASK, "activation", *CHOICE, "seed", "outcome", "final_loss", "steps_to_target"]


def campaigns(quick: bool = False) -> list[gs.Campaign]:
    """The campaigns of the search; the `quick` ones have a part of the grid and none of the deepest."""
    if not quick:
        return [gs.Campaign.from_toml(HERE / file) for file in FILES]
    grids = (QUICK, QUICK | {"dataset": ["diabetes"]})
    return [part(file, grid, 200) for file, grid in zip(FILES[:2], grids, strict=True)]


def part(file: str, grid: Mapping[str, object], steps: int) -> gs.Campaign:
    """The campaign of a file with another grid and other steps."""
    return gs.Campaign(**tomlfile.read(HERE / file) | {"grid": grid, "steps": steps})


def again(campaign: gs.Campaign, choice: pd.DataFrame, seeds: Sequence[int] = FRESH) -> gs.Campaign:
    """The campaign of the chosen settings, from other seeds and with the layers kept."""
    kept = {name: getattr(campaign, name) for name in ("steps", "batch_size", "optimizer", "checkpoints", "target")}
    columns = {name: choice[name].tolist() for name in [*TASK, "activation", *CHOICE]}
    return gs.Campaign(name=f"{campaign.name}-fresh", zip=[columns], grid={"seed": seeds}, **kept)


def run(searches: Sequence[gs.Campaign], folder: Path, seeds: Sequence[int] = FRESH, rounds: int = 7) -> Made:
    """Run or resume all campaigns in `folder`; what they found. `rounds`: in which steps are timed."""
    tried, fresh, every = [], [], []
    for campaign in searches:
        results = _run(campaign, folder / campaign.name)
        runs = _plain(results.runs[COLUMNS])
        second = again(campaign, choose(runs), seeds)
        # Other choices are another campaign, in a directory of its own.
        confirmed = _run(second, folder / f"{second.name}-{second.digest[:8]}")
        tried.append(runs)
        fresh.append(ends(confirmed))
        every += [results, confirmed]
    search, confirm = pd.concat(tried, ignore_index=True), pd.concat(fresh, ignore_index=True)
    field = field_of(search, confirm)
    return Made(
        search=search,
        fresh=confirm,
        choice=choose(search),
        field=field,
        cost=step_times(field.names, rounds),
        seconds=sum(float(results.runs["seconds"].sum()) for results in every),
        date=max(results.info["date"] for results in every)[:10],
        machine=f"{cpu_name()}, {os.cpu_count()} cores",
        version=package_version("gradsim"),
    )


def _run(campaign: gs.Campaign, path: Path) -> gs.Results:
    return campaign.run(path, progress=sys.stderr.isatty())


def ends(results: gs.Results) -> pd.DataFrame:
    """Runs with what became of their hidden layers at the end, `dead` and `saturated`, and their accuracy, `test`."""
    layers = results.query(
        "select run_id, avg(dead) as dead, avg(saturated_low + saturated_high) as saturated from layers "
        "join (select run_id, depth, steps from runs) using (run_id) where step = steps and layer < depth group by 1"
    )
    runs = results.runs.assign(test=results.runs.get("test_accuracy", float("nan")))
    return _plain(runs[["run_id", *COLUMNS, "test"]]).merge(layers, on="run_id", how="left").drop(columns="run_id")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """With text as text and whole numbers that are never missing."""
    text = list(frame.select_dtypes("category"))
    return frame.astype(dict.fromkeys(text, object) | {"width": int})


def main(argv: list[str] | None = None) -> int:
    """Run, analyse, write the page; 2 where something cannot be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a dozen activations, three data sets, under a minute")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results (default: results, or results/league-quick)")
    parser.add_argument("--record", action="store_true", help="keep the page in reports/league/")
    given = parser.parse_args(argv)
    if given.record and given.quick:
        parser.error("--record is for the whole league; leave out --quick")
    folder = given.out or Path("results/league-quick" if given.quick else "results")
    try:
        made = run(campaigns(given.quick), folder, rounds=3 if given.quick else 7)
        page = write_page(made, folder / "league.html", "python reports/league.py" + " --quick" * given.quick)
        if given.record:
            write_record(made, HERE / "league", "python reports/league.py")
    except UsageError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(*made.answers, page, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
