"""Two campaigns compared: pairs, paired intervals, the page, the command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import gradsim as gs
from gradsim.analysis import against
from gradsim.errors import UsageError
from gradsim.report.against import pairs_of, write_comparison

GRID = {"activation": ["tanh", "relu"], "learning_rate": [0.1, 1.0], "seed": {"range": 4}}
FIELDS = {"dataset": "spirals(samples=40)", "width": 6, "steps": 30}


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("against")

    def run(name: str, **more) -> gs.Results:
        return gs.Campaign(**FIELDS | {"name": name, "grid": GRID} | more).run(folder / name, progress=False)

    return run("before"), run("after", optimizer="momentum", grid=GRID | {"seed": {"range": 6}})


def test_pairs_have_equal_settings_but_for_what_changed(campaigns):
    before, after = campaigns
    pairs = pairs_of(before, after)
    assert pairs.changed == {"optimizer": ("sgd", "momentum")}
    assert pairs.unpaired == (0, 8)
    assert pairs.axes == ["activation", "learning_rate", "seed"]
    runs = {side: results.runs.set_index(list(GRID)) for side, results in (("before", before), ("after", after))}
    assert len(pairs.frame) == 16
    for row in pairs.frame.to_dict("records"):
        key = tuple(row[axis] for axis in GRID)
        for side, frame in runs.items():
            assert row[f"run_id_{side}"] == frame.loc[key, "run_id"]
            assert row[f"final_loss_{side}"] == frame.loc[key, "final_loss"]


def test_a_campaign_against_itself_changes_nothing(campaigns):
    pairs = pairs_of(campaigns[0], campaigns[0])
    assert pairs.changed == {}
    assert against.median_ratio(pairs, "final_loss")[1:] == (1, 1, 1)
    whole = against.convergence_change(pairs).iloc[0]
    assert (whole["gained"], whole["lost"], whole["change"]) == (0, 0, 0)
    assert any("same runs converge in both" in line for line in against.change_findings(pairs))


def test_counts_are_those_of_pandas(campaigns):
    pairs = pairs_of(*campaigns)
    good = {side: pairs.frame[f"outcome_{side}"].eq("converged") for side in ("before", "after")}
    for row in against.convergence_change(pairs, ["activation"]).itertuples():
        mine = pairs.frame["activation"].eq(row.activation)
        assert row.n == mine.sum()
        assert (row.before, row.after) == tuple((good[side] & mine).sum() for side in good)
        assert row.gained == (mine & good["after"] & ~good["before"]).sum()
        assert row.lost == (mine & good["before"] & ~good["after"]).sum()
    moves = against.outcome_moves(pairs)
    assert moves["n"].sum() == len(pairs.frame)
    assert moves["share"].sum() == pytest.approx(1)


def test_the_paired_interval_covers_as_often_as_it_says():
    random, n, p, q = np.random.default_rng(1), 60, 0.25, 0.1
    cells = random.multinomial(n, [p, q, 1 - p - q], size=4000)
    change, low, high = against.paired_difference(cells[:, 0], cells[:, 1], n)
    np.testing.assert_allclose(change, (cells[:, 0] - cells[:, 1]) / n)
    covered = ((low <= p - q) & (p - q <= high)).mean()
    assert stats.binom.cdf(round(covered * 4000), 4000, 0.95) > 1e-4
    assert covered < 0.98
    assert against.paired_difference(0, 0, 1)[1:] == pytest.approx((-1, 1), abs=0.1)


def test_campaigns_that_share_nothing_are_refused_in_a_line(campaigns):
    runs = campaigns[0].runs
    others = runs.assign(dataset=pd.Categorical(["other"] * len(runs)), seed=runs["seed"] + 10)
    with pytest.raises(UsageError, match="no run of equal settings and seed; no seed is in both"):
        against.pair_runs(runs, others, list(GRID))
    twice = pd.concat([runs.assign(**{"activation.slope": slope}) for slope in (0.1, 0.2)])
    twice.insert(1, "activation.slope", twice.pop("activation.slope"))
    with pytest.raises(UsageError, match=r"second campaign has several runs.*activation\.slope"):
        against.pair_runs(runs, twice, [*GRID, "activation.slope"])


def test_the_page_says_what_the_terminal_says(campaigns, cli):
    before, after = campaigns
    said = cli("report", before.path, after.path, "--against", "--format", "svg")
    assert said.status == 0, said.err
    page = after.path / "report" / "against.html"
    *lines, last = said.out.splitlines()
    assert last == f"Comparison: {page}"
    assert lines == against.change_findings(pairs_of(before, after))
    text = page.read_text()
    assert all(line.replace("&", "&amp;") in text for line in lines)
    assert (page.parent / "figures" / "convergence_changes.png").stat().st_size > 5000
    assert "<svg" in (page.parent / "figures" / "convergence_changes.svg").read_text()
    stored = pd.read_csv(page.parent / "figures" / "convergence_changes.csv")
    assert stored["n"].sum() == 16 * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--against"], "compares two directories"), (["there"], "to compare two give --against")],
)
def test_wrong_numbers_of_directories(campaigns, cli, arguments, words):
    said = cli("report", campaigns[0].path, *arguments)
    assert said.status == 2
    assert words in said.err


def test_the_page_goes_where_it_is_told(campaigns, tmp_path):
    page = write_comparison(*campaigns, out=tmp_path / "here")
    assert page == tmp_path / "here" / "against.html"
