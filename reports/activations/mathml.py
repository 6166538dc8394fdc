"""LaTeX formulas -> MathML, which browsers draw by themselves: no script, no fonts, and screen readers can read it.

Only what formulas of activations are written in is known; anything else is a ValueError that names it.
"""

from __future__ import annotations

import re
from html import escape

_SPACES = {r"\,": 0.17, r"\:": 0.22, r"\;": 0.28, "\\ ": 0.28, r"\!": -0.17, r"\quad": 1.0, r"\qquad": 2.0}
_LETTERS = {
    r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\epsilon": "ϵ", r"\varepsilon": "ε",
    r"\zeta": "ζ", r"\eta": "η", r"\theta": "θ", r"\kappa": "κ", r"\lambda": "λ", r"\mu": "μ", r"\nu": "ν",
    r"\xi": "ξ", r"\pi": "π", r"\rho": "ρ", r"\sigma": "σ", r"\tau": "τ", r"\phi": "ϕ", r"\varphi": "φ",
    r"\chi": "χ", r"\psi": "ψ", r"\omega": "ω", r"\Gamma": "Γ", r"\Delta": "Δ", r"\Lambda": "Λ", r"\Phi": "Φ",
    r"\Psi": "Ψ", r"\Omega": "Ω", r"\Sigma": "Σ", r"\infty": "∞", r"\ell": "ℓ",
}  # fmt: skip
_OPERATORS = {
    "+": "+", "-": "−", "=": "=", "<": "<", ">": ">", "*": "∗", r"\le": "≤", r"\leq": "≤", r"\ge": "≥",
    r"\geq": "≥", r"\ne": "≠", r"\neq": "≠", r"\lt": "<", r"\gt": ">", r"\cdot": "⋅", r"\times": "×", r"\pm": "±",
    r"\mp": "∓", r"\to": "→", r"\in": "∈", r"\approx": "≈", r"\sim": "∼", r"\circ": "∘", r"\odot": "⊙",
}  # fmt: skip
_LARGE = {r"\sum": "∑", r"\prod": "∏", r"\int": "∫"}
_PLAIN = {",": ",", ";": ";", ":": ":", "!": "!", r"\ldots": "…", r"\dots": "…", r"\cdots": "⋯"}
_OPEN = {"(": "(", "[": "[", r"\{": "{", r"\lfloor": "⌊", r"\lceil": "⌈", r"\lvert": "|"}
_CLOSE = {")": ")", "]": "]", r"\}": "}", r"\rfloor": "⌋", r"\rceil": "⌉", r"\rvert": "|"}
_NAMES = "max min exp log ln sin cos tan arctan arcsin arccos sinh cosh tanh coth sgn sup inf lim"
_FUNCTIONS = frozenset("\\" + name for name in _NAMES.split())
_ACCENTS = {r"\bar": "¯", r"\hat": "^", r"\tilde": "~"}
_TOKENS = re.compile(
    r"\\(?:text|mathrm|operatorname\*?|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|[A-Za-z]|\S"
)


def mathml(latex: str) -> str:
    """A formula as a `<math>` element; "a if b, c if d else e" a line a case.

    Raises ValueError, naming it, for LaTeX that is not known here.
    """
    tokens = _TOKENS.findall(latex)
    found = _cases(tokens)
    if found is None:
        body = _read(tokens)
    else:
        before, cases, after = found
        rows = "".join(f"<mtr><mtd>{_read(value)}</mtd><mtd>{_condition(when)}</mtd></mtr>" for value, when in cases)
        body = f'{_read(before)}<mtable class="cases" displaystyle="true">{rows}</mtable>{_read(after)}'
    return f'<math displaystyle="true"><mrow>{body}</mrow></math>'


def _read(tokens: list[str]) -> str:
    return _Reader(tokens).row(())


def _condition(when: list[str]) -> str:
    return f"<mtext>if&#160;</mtext>{_read(when)}" if when else "<mtext>otherwise</mtext>"


def _cases(tokens: list[str]) -> tuple[list[str], list[tuple[list[str], list[str]]], list[str]] | None:
    """What stands before, (value, condition) of each case, and what stands after; None where there are none."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    depth = 0
    for token in tokens:
        depth += (token in _OPEN or token in ("{", r"\left")) - (token in _CLOSE or token in ("}", r"\right"))
        word = _word(token) if depth == 0 else ""
        if word or (token == "," and depth == 0):
            parts.append((word or ",", []))
        else:
            parts[-1][1].append(token)
    if all(word != "if" for word, _ in parts):
        return None
    # In front of each "if" stands a value, behind it a condition, up to a comma or "else".
    before: list[str] = []
    cases, value, after = [], parts[0][1], []
    for k, (word, given) in enumerate(parts[1:], 1):
        if word == "if":
            cases.append((value, given))
        elif word == "else":
            cases.append((given, []))
        elif any(later == "if" for later, _ in parts[k + 1 :]):
            if not cases:
                before += [*value, ","]
            value = given
        else:
            after += [",", *given]
    first, when = cases[0]
    if "=" in first:
        at = first.index("=") + 1
        before += first[:at]
        cases[0] = (first[at:], when)
    return before, [(_stripped(value), when) for value, when in cases], after


def _stripped(tokens: list[str]) -> list[str]:
    """Without the spaces in front."""
    return _stripped(tokens[1:]) if tokens and tokens[0] in _SPACES else tokens


def _word(token: str) -> str:
    """ "if" or "else" where a token of text says so."""
    text = re.fullmatch(r"\\text\s*\{(.*)\}", token)
    return {"if": "if", "for": "if", "else": "else", "otherwise": "else"}.get(text[1].strip(" ,"), "") if text else ""


class _Reader:
    """Tokens from left to right; `operand` says whether what stands left is one: then a minus subtracts."""

    def __init__(self, tokens: list[str]):
        self.tokens, self.at = tokens, 0
        self.operand = False
        self.bars = 0

    def peek(self) -> str:
        """The next token, or "" at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise ValueError(f"{wanted or 'something'} is missing in the formula")
        self.at += 1
        return token

    def row(self, ends: tuple[str, ...]) -> str:
        """Everything up to one of the ends, which is taken, too."""
        out, bars = [], self.bars
        self.operand, self.bars = False, 0
        while self.peek() not in ends:
            if not self.peek():
                if not ends:
                    break
                raise ValueError(f"{ends[0]} is missing in the formula")
            out.append(self.scripted())
        if ends:
            self.take()
        self.operand, self.bars = True, bars
        return "".join(out)

    def scripted(self) -> str:
        """An atom with what stands above and below it."""
        named = self.peek() in _FUNCTIONS or self.peek().startswith((r"\operatorname", r"\mathrm"))
        before = _space(0.17) if named and self.operand else ""
        base = self.atom()
        below = above = ""
        while self.peek() in ("_", "^", "'"):
            mark = self.take()
            if mark == "_":
                below = self.argument()
            else:
                above += "<mo>′</mo>" if mark == "'" else self.argument()
        if below and above:
            base = f"<msubsup>{base}{_one(below)}{_one(above)}</msubsup>"
        elif below or above:
            tag = "msub" if below else "msup"
            base = f"<{tag}>{base}{_one(below or above)}</{tag}>"
        following = self.peek()
        if named and following and following not in (*_OPEN, *_CLOSE, *_OPERATORS, *_PLAIN, *_SPACES, "}", "/", "&"):
            base += _space(0.17)
            self.operand = False
        return before + base

    def argument(self) -> str:
        """What a command or a script stands on: a group or a single token."""
        kept = self.operand
        if self.peek() == "{":
            self.take()
            found = self.row(("}",))
        else:
            if self.peek().isdigit():  # \frac12 is a half
                self.tokens[self.at : self.at + 1] = list(self.peek())
            found = self.atom()
        self.operand = kept
        return found

    def atom(self) -> str:
        token = self.take()
        was_operand, self.operand = self.operand, True
        if token in _SPACES:
            self.operand = was_operand
            return _space(_SPACES[token])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha() or token in _LETTERS:
            return f"<mi>{_LETTERS.get(token, token)}</mi>"
        if token in _FUNCTIONS:
            return f"<mi>{token[1:]}</mi>"
        if token in _CLOSE:
            return f'<mo stretchy="false" form="postfix">{_CLOSE[token]}</mo>'
        return self.structure(token) or self.symbol(token, was_operand)

    def symbol(self, token: str, was_operand: bool) -> str:
        """Operators and what opens a group: a minus after these is a sign."""
        self.operand = False
        if token == "|":
            self.bars += 1
            self.operand = self.bars % 2 == 0
            return f'<mo stretchy="false" form="{"postfix" if self.operand else "prefix"}">|</mo>'
        if token in _OPEN:
            return f'<mo stretchy="false" form="prefix">{_OPEN[token]}</mo>'
        if token == "/":
            return '<mo lspace="0.05em" rspace="0.05em">/</mo>'
        if token in _LARGE:
            return f'<mo largeop="false">{_LARGE[token]}</mo>'
        if token in _PLAIN:
            return f"<mo>{_PLAIN[token]}</mo>"
        if token in _OPERATORS:
            return f"<mo{'' if was_operand else _PREFIX}>{escape(_OPERATORS[token])}</mo>"
        raise ValueError(f"{token} is not known in formulas")

    def structure(self, token: str) -> str:
        """Groups, fractions, roots, words, fences that grow, cases; "" for anything else."""
        if token == "{":
            return f"<mrow>{self.row(('}',))}</mrow>"
        if token in (r"\frac", r"\tfrac", r"\dfrac"):
            fraction = f"<mfrac>{_one(self.argument())}{_one(self.argument())}</mfrac>"
            return fraction if token == r"\frac" else f'<mstyle displaystyle="false">{fraction}</mstyle>'
        if token == r"\sqrt":
            if self.peek() == "[":
                self.take()
                degree = self.row(("]",))
                return f"<mroot>{_one(self.argument())}{_one(degree)}</mroot>"
            return f"<msqrt>{self.argument()}</msqrt>"
        if token in _ACCENTS:
            return f'<mover accent="true">{_one(self.argument())}<mo>{_ACCENTS[token]}</mo></mover>'
        if token == r"\left":
            return self.fenced()
        if word := re.fullmatch(r"\\(\w+)\*?\s*\{([^{}]*)\}", token):
            return self.worded(word[1], word[2])
        return ""

    def fenced(self) -> str:
        left = {**_OPEN, "|": "|", ".": ""}[self.take()]
        body = self.row((r"\right",))
        right = {**_CLOSE, "|": "|", ".": ""}[self.take()]
        fences = [f'<mo form="{form}">{x}</mo>' if x else "" for form, x in (("prefix", left), ("postfix", right))]
        return f"<mrow>{fences[0]}<mrow>{body}</mrow>{fences[1]}</mrow>"

    def worded(self, command: str, text: str) -> str:
        if command == "text":
            self.operand = False
            return f"<mtext>{escape(text).replace(' ', '&#160;')}</mtext>"
        if command in ("mathrm", "operatorname"):
            return f'<mi mathvariant="normal">{escape(text)}</mi>'
        if (command, text) != ("begin", "cases"):
            raise ValueError(f"\\{command}{{{text}}} is not known in formulas")
        rows, cells = [], []
        while True:
            cells.append(self.cell())
            end = self.take()
            if end != "&":
                rows.append(f"<mtr>{''.join(f'<mtd>{c}</mtd>' for c in cells)}</mtr>")
                cells = []
            if end == r"\end{cases}":
                return f'<mrow><mo form="prefix">{{</mo><mtable columnalign="left">{"".join(rows)}</mtable></mrow>'

    def cell(self) -> str:
        """Up to the end of a cell, which stays."""
        found = self.row(("&", r"\\", r"\end{cases}"))
        self.at -= 1
        return found


_PREFIX = ' form="prefix" rspace="0"'


def _space(width: float) -> str:
    return f'<mspace width="{width}em"></mspace>'


def _one(content: str) -> str:
    return f"<mrow>{content}</mrow>"
