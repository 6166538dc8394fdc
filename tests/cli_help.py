"""What tests of the command line share: the answer of a command, and the one line of one that failed."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command left."""

    status: int
    out: str
    err: str


def complaint(answer: Answer, *fragments: str, status: int = 2) -> str:
    """The one line on stderr of a command that failed, holding every fragment; nothing is on stdout."""
    assert answer.status == status, answer
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("gradsim: ")
    assert "Traceback" not in lines[0]
    assert len(lines[0]) < 700
    for fragment in fragments:
        assert fragment in lines[0], lines[0]
    return lines[0]
