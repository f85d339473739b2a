"""text → **condition** → fields. A small language to say which items are meant, that can do nothing else.

    category = "camping" and price < 50 and not brand in ("A", "B")

    condition   condition or condition | condition and condition | not condition | (condition) | test
    test        FIELD = VALUE, and != < <= > >= | FIELD in (VALUE, …) | FIELD not in (VALUE, …)
                FIELD contains "TEXT" | FIELD is missing | FIELD is not missing | in_stock
    FIELD       a field of an item (`FIELDS`), or attributes.NAME, attributes."ANY NAME"
    VALUE       "text" or 'text' with \\ before a quote or a backslash, a number, true, false

`not` binds closer than `and`, `and` closer than `or`. Texts are compared exactly, but `contains` does not look at
case. A test of what an item does not have is false, so `price < 50` leaves items without a price alone and
`not price < 50` takes them in. Nothing here is executed: a condition is a tree of these few kinds of nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from rec.errors import BadInput

TEXTS = ("item_id", "title", "category", "brand", "description", "currency", "kind")
FLAGS = ("in_stock",)
FIELDS = (*TEXTS, "price", *FLAGS)
MAX_LENGTH = 16_384  # of a rule too: an exclude of a thousand ids of 12 characters
MAX_DEPTH = 32
MAX_VALUES = 1_000

Value = str | float | bool


class Compare(NamedTuple):
    """One field, one operator (= < <= > >= in contains missing), what it is compared with."""

    field: str
    operator: str
    values: tuple[Value, ...]


class Not(NamedTuple):
    of: Condition


class Every(NamedTuple):
    of: tuple[Condition, ...]


class Either(NamedTuple):
    of: tuple[Condition, ...]


Condition = Compare | Not | Every | Either


class _Token(NamedTuple):
    kind: str  # word, text, number, sign, end
    text: str
    at: int  # 0-based


_TOKENS = re.compile(
    r"""\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)?(?P<dot>\.(?="|'))?)
      |(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
      |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      |(?P<sign>!=|<=|>=|==|<>|[=<>(),]))""",
    re.VERBOSE | re.DOTALL,
)
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
_INSTEAD = {"==": "=", "<>": "!=", "&&": "and", "||": "or", "!": "not", "like": "contains", "null": "is missing"}


def parse(text: str) -> Condition:
    """A condition. Raises BadInput that names the position (1-based) and what could stand there.

    >>> parse('price < 50 and not brand = "A"').of[1]
    Not(of=Compare(field='brand', operator='=', values=('A',)))
    >>> parse("in_stock and price <")
    Traceback (most recent call last):
    rec.errors.BadInput: condition, position 21: a value is missing. Write a "text", a number, true or false.
    """
    if len(text) > MAX_LENGTH:
        raise _refusal(MAX_LENGTH, f"{len(text):,} characters are too many. Give at most {MAX_LENGTH:,}.")
    parser = _Parser(list(_tokens(text)))
    condition = parser.either(0)
    parser.expect_end()
    return condition


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKENS.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            if text[at] in "\"'":
                raise _refusal(at, f"this text has no end. Close it with {text[at]}.")
            instead = _INSTEAD.get(text[at : at + 2]) or _INSTEAD.get(text[at])
            raise _refusal(at, f"{text[at]!r} means nothing here. {f'Write {instead}.' if instead else _TESTS}")
        kind = next(name for name in ("word", "number", "text", "sign") if found[name] is not None)
        yield _Token(kind, found[kind], found.start(kind))
        at = found.end()
    yield _Token("end", "", len(text))


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _is(self, *texts: str) -> bool:
        return self._next.kind in ("word", "sign") and self._next.text.lower() in texts

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._is("or"):
            self._take()
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._is("and"):
            self._take()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise _refusal(self._next.at, f"too deep. Nest at most {MAX_DEPTH} parentheses and nots.")
        if self._is("not"):
            self._take()
            return Not(self._one(depth + 1))
        if self._is("("):
            opened = self._take()
            inner = self.either(depth + 1)
            if not self._is(")"):
                raise _refusal(self._next.at, f"the parenthesis of position {opened.at + 1} is open. Write ).")
            self._take()
            return inner
        return self._test()

    def _test(self) -> Condition:
        field = self._field()
        negated = self._is("not")
        if negated:
            self._take()
            if not self._is("in"):
                raise _refusal(self._next.at, "after a field, not is followed by in. Write FIELD not in (…).")
        token = self._next
        if self._is("in"):
            self._take()
            test = Compare(field, "in", self._values(field))
            return Not(test) if negated else test
        if self._is("is"):
            return self._missing(field)
        if self._is("contains"):
            self._take()
            if self._next.kind != "text":
                raise _refusal(self._next.at, 'contains takes a text. Write FIELD contains "…".')
            return Compare(field, "contains", (self._value(field),))
        if field in FLAGS and not self._is(*_OPERATORS):
            return Compare(field, "=", (True,))
        if token.kind != "sign" or token.text not in _OPERATORS:
            instead = _INSTEAD.get(token.text.lower())
            raise _refusal(token.at, f"an operator is missing. {f'Write {instead}.' if instead else _TESTS}")
        self._take()
        value_at = self._next.at
        value = self._value(field)
        if token.text not in ("=", "!=") and isinstance(value, bool):
            raise _refusal(value_at, f"{token.text} compares numbers or texts. Write = or != before true and false.")
        test = Compare(field, "=" if token.text == "!=" else token.text, (value,))
        return Not(test) if token.text == "!=" else test

    def _missing(self, field: str) -> Condition:
        self._take()
        negated = self._is("not")
        if negated:
            self._take()
        if not self._is("missing"):
            raise _refusal(self._next.at, f"write {field} is missing, or {field} is not missing.")
        self._take()
        test = Compare(field, "missing", ())
        return Not(test) if negated else test

    def _field(self) -> str:
        token = self._take()
        if token.kind != "word":
            what = "the condition ends here" if token.kind == "end" else f"{token.text!r} is no field"
            raise _refusal(token.at, f"{what}. Write one of {', '.join(FIELDS)}, attributes.NAME.")
        name, _, attribute = token.text.partition(".")
        if name == "attributes":
            if token.text.endswith("."):
                return f"attributes.{_unquoted(self._take().text)}"
            if attribute:
                return token.text
            raise _refusal(token.at, "which attribute? Write attributes.NAME.")
        if token.text not in FIELDS:
            close = get_close_matches(token.text.lower(), FIELDS, n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            own = f"Write attributes.{name} for one of your own; " if not attribute else ""
            raise _refusal(token.at, f"there is no field {token.text!r}. {hint}{own}known are {', '.join(FIELDS)}.")
        return token.text

    def _values(self, field: str) -> tuple[Value, ...]:
        if not self._is("("):
            raise _refusal(self._next.at, 'in takes a list. Write in ("A", "B").')
        self._take()
        values = [self._value(field)]
        while self._is(","):
            self._take()
            values.append(self._value(field))
            if len(values) > MAX_VALUES:
                raise _refusal(self._next.at, f"more than {MAX_VALUES:,} values. Make two rules of it.")
        if not self._is(")"):
            raise _refusal(self._next.at, "the list goes on with a comma or ends with ).")
        self._take()
        return tuple(values)

    def _value(self, field: str) -> Value:
        token = self._take()
        value: Value
        if token.kind == "text":
            value = _unquoted(token.text)
        elif token.kind == "number":
            value = float(token.text)
        elif token.kind == "word" and token.text.lower() in ("true", "false"):
            value = token.text.lower() == "true"
        else:
            if token.kind == "word":
                remedy = f'Write texts in quotes: "{token.text}".'
                remedy = f"Write {field} is missing." if token.text.lower() in ("null", "none") else remedy
            else:
                remedy = 'Write a "text", a number, true or false.'
            raise _refusal(token.at, f"a value is missing. {remedy}")
        wanted = str if field in TEXTS else bool if field in FLAGS else float if field == "price" else None
        if wanted is not None and not isinstance(value, wanted):
            kind = {str: 'a text; write it in quotes: "…"', bool: "true or false", float: "a number"}[wanted]
            raise _refusal(token.at, f"{field} is {kind}.")
        return value

    def expect_end(self) -> None:
        token = self._next
        if token.kind != "end":
            raise _refusal(token.at, f"{token.text!r} cannot stand here. Join two tests with and, or.")


_TESTS = 'A test is FIELD = VALUE (or != < <= > >=), FIELD in ("A", "B"), FIELD contains "…", FIELD is missing.'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _refusal(at: int, what: str) -> BadInput:
    return BadInput(f"condition, position {at + 1}: {what}", code="bad_condition", field="condition")
