"""`gradsim.recommend`: theory narrows, a short trial screens, a race decides, fresh seeds verify."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from gradsim.activations import Activation
from gradsim.advice import choice, words
from gradsim.advice.candidates import COMMON, Candidate, Theory, candidates, judged, narrowed
from gradsim.advice.choice import Group, Measured, groups, measured
from gradsim.advice.question import Question, read_question
from gradsim.advice.result import Finding, Recommendation
from gradsim.advice.trial import Setting, Trial, ladder
from gradsim.errors import GradsimError, UsageError, short
from gradsim.runner import threads_of

SCREEN_SEEDS, RACE_SEEDS, COMPARE_SEEDS = 2, 6, 4
# Of the steps that a screening takes, and at least so many.
SCREEN_SHARE, SCREEN_STEPS = 5, 100
# Groups in a race; up to how many activations each of them has one there.
RACED, MOST_RACED = 4, 8
# A setting is taken at once where so many of the fresh seeds converge; else so many are verified, and the best wins.
AT_ONCE, ATTEMPTS = 0.98, 3


def recommend(
    activation: str | Activation | list = "any",
    data: object = "digits",
    depth: int = 5,
    width: int = 32,
    *,
    steps: int = 1000,
    seeds: int = 64,
    batch_size: int | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Recommendation:
    """Start settings for `depth` hidden layers of `width`: initializer, optimizer, learning rates, and what to avoid.

    activation: a name, a formula ("z*sin(z)", "mine=z*sin(z)"), an Activation, a list of these, or "any".
    data: a data set's name, the path of a CSV, Parquet or .npz file (or {"name": "file", "path": ..., "target": ...}),
        a pair (X, y), a DataFrame whose last column is the target, a pair of a DataFrame and the name of its target, or
        only a shape, {"features": 20, "classes": 3, "samples": 500} or with "outputs" for numbers: then a synthetic
        task of that shape stands in.
    steps: a network has to converge within these: to reach a tenth of the best constant predictor's training loss.
    seeds: fresh ones that the chosen setting is verified with, at least 8.
    batch_size: by default 64, or all rows where there are fewer.
    threads: by default one a core.
    progress: tell on stderr what is running.

    Theory drops initializers whose gradients cannot cross the layers; the others are screened with every optimizer at
    all learning rates in short runs; the most promising are raced at full length; the middle of the widest range of
    learning rates that works is verified with fresh seeds, and where it does not hold the next best too. Deterministic.
    Raises UsageError for bad input.
    """
    started = time.perf_counter()
    threads = threads_of(threads)
    question = read_question(activation, data, depth, width, steps, seeds, batch_size)
    return _recommend(question, Trial(question, threads, _teller(progress)), started)


def _teller(progress: object) -> Callable[[str], None]:
    if not isinstance(progress, bool):
        raise UsageError(f"progress = {short(progress)}: must be true or false")
    return (lambda text: print(text, file=sys.stderr, flush=True)) if progress else (lambda text: None)


def _recommend(question: Question, trial: Trial, started: float) -> Recommendation:
    possible, chosen = _narrow(question)
    trial.say(f"theory: leaves {len(chosen)} of {len(possible)} initializers for {question.network}")
    raced = _race(trial, _screen(trial, chosen))
    group, verified = _verify(trial, raced)
    theory = next(c.theory for c in possible if (c.activation.label, c.initializer) == group.key[:2])
    works, avoid = _compare(trial, group, verified)
    return Recommendation(
        question=question,
        setting=verified.setting,
        theory=theory,
        verified=verified,
        group=group,
        raced=tuple(raced),
        works=works,
        avoid=(*avoid, *words.rates_to_avoid(group)),
        candidates=(len(chosen), len(possible)),
        networks=trial.networks,
        seconds=time.perf_counter() - started,
    )


def _narrow(question: Question) -> tuple[list[Candidate], list[Candidate]]:
    """All candidates, and those that theory leaves."""
    possible, chosen = [], []
    for act in question.activations:
        mine = candidates(act, question.depth, question.width)
        possible += mine
        chosen += narrowed(mine, len(question.activations))
    return possible, chosen


def _screen(trial: Trial, chosen: list[Candidate]) -> list[Group]:
    """Every candidate with every optimizer at all learning rates, few seeds, few steps."""
    steps = trial.question.steps
    short_run = min(steps, max(steps // SCREEN_SHARE, SCREEN_STEPS))
    settings = ladder(chosen)
    return groups(measured(settings, trial.run("screening", settings, trial.fresh(SCREEN_SEEDS), short_run)))


def _race(trial: Trial, screened: list[Group]) -> list[Group]:
    """The most promising groups at full length, best first; the next ones too where none of them works."""
    question = trial.question
    each = not question.any and len(question.activations) <= MOST_RACED
    rest, raced = screened, []
    for what in ("racing", "racing more"):
        some = choice.promising(rest, RACED, each and not raced)
        settings = [m.setting for group in some for m in group.worth_racing]
        raced += groups(measured(settings, trial.run(what, settings, trial.fresh(RACE_SEEDS))))
        rest = [group for group in rest if group not in some]
        if not rest or any(group.window for group in raced):
            break
    return choice.best_first(raced)


def _verify(trial: Trial, raced: list[Group]) -> tuple[Group, Measured]:
    """The best group whose middle holds with fresh seeds, or the one that held best."""
    seeds = trial.fresh(trial.question.seeds)
    hopeful = [g for g in raced if g.middle.converged][:ATTEMPTS] or raced[:1]
    found: list[tuple[Group, Measured]] = []
    for group in hopeful:
        setting = group.middle.setting
        found.append((group, choice.pooled(setting, trial.run("verifying", [setting], seeds))))
        if found[-1][1].rate >= AT_ONCE:
            break
    return max(found, key=lambda pair: pair[1].rate)


def _compare(trial: Trial, group: Group, verified: Measured) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What becomes of the network under initializers that people start from, all else as recommended."""
    question, setting = trial.question, verified.setting
    act, label = setting.activation, setting.initializer
    window = group.window or (verified,)
    low, high = (m.setting.learning_rate for m in (window[0], window[-1]))
    rates = choice.rungs(low, high, setting.optimizer)
    told: dict[str, Theory | None] = {}
    for name in COMMON:
        if name != label:
            try:
                told[name] = judged(act, name, question.depth, question.width)
            except GradsimError:
                told[name] = None
    settings = [Setting(act, name, setting.optimizer, rate) for name in told for rate in rates]
    found = measured(settings, trial.run("comparing", settings, trial.fresh(COMPARE_SEEDS)))
    findings = []
    for i, (name, theory) in enumerate(told.items()):
        own = found[i * len(rates) : (i + 1) * len(rates)]
        findings.append(_finding(name, theory, own))
    good = tuple(f for f in findings if not f.why)
    return good, tuple(sorted((f for f in findings if f.why), key=lambda f: f.converged / f.n))


def _finding(name: str, theory: Theory | None, found: list[Measured]) -> Finding:
    """An initializer at some rates: no reason to avoid it where all networks converge at one of them."""
    converged, n = sum(m.converged for m in found), sum(m.n for m in found)
    worst = min(found, key=lambda m: (m.rate, -m.diagnosed))
    rates = tuple(m.setting.learning_rate for m in found if m.works)
    return Finding(name, "" if rates else words.why(worst), converged, n, name, theory, rates)
