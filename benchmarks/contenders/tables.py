"""What `peers.py` prints: Markdown tables of speeds and ratios, and notes on what makes them doubtful."""

from __future__ import annotations

import statistics

from .rounds import OURS
from .twin import Gate


def markdown(header: list[str], rows: list[list[str]], left: int = 2) -> str:
    """A Markdown table whose columns line up in a terminal as well; the first `left` to the left."""
    width = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]

    def draw(cells: list[str]) -> str:
        padded = (c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, width, strict=True)))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(("-" * (w + 2)) if i < left else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    return "\n".join([draw(header), rule, *map(draw, rows)])


def ratio_table(rows: list[dict]) -> str:
    """One line a row: gradsim's cost and share of the peak, then how many times as long each peer takes."""
    peers = list(dict.fromkeys(c for row in rows for c in row["contenders"] if c != OURS))
    header = ["row", "best peer", "networks", "net-steps a core-second", "% of peak", *peers]
    lines = []
    for row in rows:
        mine, best = row["contenders"].get(OURS, {}), row["best_peer"]
        share = mine.get("fraction_of_peak")
        networks = row["networks"] * (len(row["activations"]) if row["campaign"] else 1)
        speed = mine.get("network_steps_per_core_second")
        cells = [row["row"], best or "-", f"{networks:,}", f"{speed:,.0f}" if speed else "-"]
        cells.append(f"{100 * share:.0f}" if share else "-")
        for peer in peers:
            result = row["contenders"].get(peer, {})
            text = f"{result['gradsim_faster']:.2g}" if result.get("gradsim_faster", 10) < 1 else ""
            text = text or (f"{result['gradsim_faster']:.1f}" if "gradsim_faster" in result else "-")
            cells.append(f"**{text}**" if peer == best and text != "-" else text)
        lines.append(cells)
    return markdown(header, lines)


def _ratio_cell(row: dict, contender: str) -> str:
    if contender == OURS:
        if not row["ratio"]:
            return "-"
        plain = f", {row['plain_ratio']:.2f} x {row['best_plain_peer']}" if row["plain_ratio"] else ""
        return f"**{row['ratio']:.2f}** x {row['best_peer']}{plain}"
    result = row["contenders"][contender]
    if "gradsim_faster" not in result:
        return "-"
    pairs = result["gradsim_faster_pairs"]
    return f"{result['gradsim_faster']:.2f} ({min(pairs):.2f}-{max(pairs):.2f})"


def speed_table(rows: list[dict]) -> str:
    """Medians of each contender in each row, and how many times faster gradsim is."""
    header = ["row", "contender", "median s", "turns", "net-steps a core-second", "GFLOP/s", "% of peak"]
    header.append("gradsim faster by")
    lines = []
    for row in rows:
        for name, result in row["contenders"].items():
            if "median_seconds" not in result:
                lines.append([row["row"], name, "none" if "absent" in result else "failed", *"-----"])
                continue
            share = result["fraction_of_peak"]
            lines.append(
                [
                    row["row"],
                    name if result["agrees"] else f"{name} WRONG",
                    f"{result['median_seconds']:.3f}",
                    str(len(result["seconds"])),
                    f"{result['network_steps_per_core_second']:,.0f}",
                    f"{result['gflops']:.1f}",
                    f"{100 * share:.0f}" if share else "-",
                    _ratio_cell(row, name),
                ]
            )
    return markdown(header, lines)


def setup_table(rows: list[dict]) -> str:
    """What stays outside the timing: layout kept and its gain over the plainest, compilation, memory."""
    header = ["row", "contender", "layout kept, speed over plainest", "compile s", "ready after s", "error", "MB"]
    lines = []
    for row in rows:
        for name, result in row["contenders"].items():
            if "median_seconds" not in result:
                continue
            layout, trials = result.get("layout", "with compilation"), result.get("trials")
            if trials:
                layout += f", {next(iter(trials.values())) / trials[layout]:.2f} x"
            before = [result.get("compile_seconds"), result.get("prepare_seconds")]
            numbers = ["-" if seconds is None else f"{seconds:.1f}" for seconds in before]
            memory = f"{result['peak_bytes'] / 2**20:.0f}"
            lines.append([row["row"], name, layout, *numbers, f"{result['error']:.0e}", memory])
    return markdown(header, lines, left=3)


def machine_line(report: dict) -> str:
    """Machine, peak, versions and day."""
    host = report["machine"]
    peaks = [p for row in report["rows"] for p in row["fma_peak_gflops"]["repeats"]]
    peak = f"FMA peak {statistics.median(peaks):.0f} GFLOP/s" if peaks else "FMA peak not measured"
    versions = ", ".join(f"{k} {v}" for k, v in sorted(report["versions"].items()))
    return f"{host['cpu']}, {host['cores']} cores, {peak}, float32; {versions}; {report['date'][:10]}."


def notes(report: dict) -> list[str]:
    """Everything that makes a number doubtful, or is the reason why there is none."""
    lines = []
    if report["quick"]:
        lines.append("QUICK RUN: sizes too small for the timings to mean anything.")
    for row in report["rows"]:
        for name, result in row["contenders"].items():
            if "absent" in result:
                lines.append(f"NONE {row['row']}, {name}: {result['absent']}")
            elif "failed" in result:
                lines.append(f"FAILED {row['row']}, {name}: {result['failed']}")
            elif not result.get("agrees", True):
                error = f"{result['error']:.1e} from the float64 reference, allowed {Gate.TOLERANCE:g}"
                lines.append(f"WRONG {row['row']}, {name}: {error}; not counted as best peer")
            if result["others"] and statistics.median(result["others"]) > 0.05:
                share = 100 * statistics.median(result["others"])
                lines.append(f"BUSY {row['row']}, {name}: other processes took {share:.0f}% of the cores")
    return lines


def page(report: dict) -> str:
    """All of it as Markdown."""
    how = f"Medians of up to {report['repeats']} rounds in turns; the paired ratios' range in brackets."
    rows = report["rows"]
    parts = [machine_line(report), "How many times as long as gradsim; the best peer in bold:", ratio_table(rows)]
    parts += [how, speed_table(rows), "\n".join(f"- {line}" for line in notes(report)), setup_table(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"
