"""what was typed → **reading** → lexical and dense retrieval. A query as words with weights. Pure but for caches.

typed words          as they are                                       weight 1
a word nobody has    its likeliest spellings, or the two words in it   less
neighbours           as one word, where items have that                less
synonyms             of words and of phrases, from the shop's table    less
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rec.errors import BadInput, ConfigError
from rec.protocol import MAX_QUERY
from rec.search.lexical import LexicalIndex, Term
from rec.search.spelling import Speller
from rec.search.words import MOST, Words

if TYPE_CHECKING:
    from rec.config import Settings

APART, TOGETHER, SYNONYM = 0.7, 0.5, 0.6


class Reading(NamedTuple):
    """`typed`: the words of the query, each once. `understood`: the query with those that no item has corrected."""

    query: str
    typed: tuple[str, ...]
    terms: tuple[Term, ...]
    understood: str | None = None


def cleaned(query: str) -> str:
    """The query on one line, without control characters. Raises BadInput where nothing is left or it is too long.

    >>> cleaned("  tent\\n for\\x00 two ")
    'tent for two'
    """
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" and c not in "\u200c\u200d" else c for c in query)
    line = " ".join(kept.split())
    if not line:
        raise BadInput("q is empty. Send 1 to 1024 characters that are to be searched for.", field="q")
    if len(line) > MAX_QUERY:
        raise BadInput(f"q has {len(line)} characters. Send 1 to {MAX_QUERY}.", field="q")
    return line


class Reader:
    """Reads queries by the words of one index."""

    def __init__(self, index: LexicalIndex, synonyms: Synonyms | None = None) -> None:
        self._index, self._words = index, index.words
        self._synonyms = synonyms or Synonyms()
        self._speller = Speller(index.spelled)

    def read(self, query: str) -> Reading:
        """Raises BadInput."""
        line = cleaned(query)
        self._speller.renew(self._index.generation)
        raw = self._words.raw(line)[:MOST]
        stems = [stem for word in raw for stem in self._words.stems(word)]
        typed = tuple(dict.fromkeys(stems))
        counts, weights = self._index.document_counts, dict.fromkeys(typed, 1.0)
        joined = self._speller.together(raw)
        _add(weights, self._stems(joined), TOGETHER)
        missing = [word for word in dict.fromkeys(raw) if not any(stem in counts for stem in self._words.stems(word))]
        changed: dict[str, str] = {}
        for word in missing:
            if any(word in one for one in joined):
                continue
            if parts := self._speller.apart(word):
                _add(weights, self._stems(parts), APART)
                changed[word] = " ".join(parts)
            elif guesses := self._speller.guesses(word):
                for guess in guesses:
                    _add(weights, self._stems([guess.word]), guess.weight)
                changed[word] = guesses[0].word
        _add(weights, self._synonyms.of(stems), SYNONYM)
        terms = tuple(Term(word, weight) for word, weight in weights.items() if word in counts)
        understood = " ".join(changed.get(word, word) for word in raw) if changed else None
        return Reading(line, typed, terms, understood)

    def _stems(self, words: Iterable[str]) -> list[str]:
        return [stem for word in words for stem in self._words.stems(word)]


def _add(weights: dict[str, float], words: Iterable[str], weight: float) -> None:
    for word in words:
        weights[word] = max(weights.get(word, 0.0), weight)


class Synonyms:
    """Phrases that stand for each other: from each, by its first word, to the words it may be found under."""

    def __init__(self, rules: Mapping[tuple[str, ...], Sequence[str]] | None = None) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], Sequence[str]]]] = {}
        for phrase, others in (rules or {}).items():
            self._by_first.setdefault(phrase[0], []).append((phrase, others))

    def of(self, stems: Sequence[str]) -> list[str]:
        """Words to look for beside those of the query."""
        found: list[str] = []
        for at, stem in enumerate(stems):
            for phrase, others in self._by_first.get(stem, ()):
                if tuple(stems[at : at + len(phrase)]) == phrase:
                    found += others
        return found


def read_synonyms(lines: Iterable[str], words: Words, name: str = "synonyms") -> Synonyms:
    """Solr's format: `sofa, couch, settee` stand for each other; `tee => t-shirt` one way; `#` begins a comment.

    Raises ConfigError with the line that is none.

    >>> read_synonyms(["sofa, couch"], Words("en")).of(["blue", "sofa"])
    ['couch']
    """
    rules: dict[tuple[str, ...], list[str]] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        left, arrow, right = text.partition("=>")
        froms = [tuple(words(part)) for part in left.split(",")]
        tos = [tuple(words(part)) for part in right.split(",")] if arrow else froms
        if not all(froms) or not all(tos) or (not arrow and len(froms) < 2):
            raise ConfigError(
                f"{name}:{number}: {line.strip()[:80]!r} is no synonym. Write `sofa, couch` or `tee => t-shirt`.",
                field="REC_SEARCH_SYNONYMS",
            )
        for one in froms:
            rules.setdefault(one, []).extend(word for other in tos if other != one for word in other)
    return Synonyms(rules)


def load_synonyms(path: str, words: Words) -> Synonyms | None:
    """The table that `REC_SEARCH_SYNONYMS` names; None if it names none. Raises ConfigError."""
    if not path:
        return None
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"REC_SEARCH_SYNONYMS: {path} cannot be read ({error}). Name a text file, or leave it out."
        raise ConfigError(message, field="REC_SEARCH_SYNONYMS") from None
    return read_synonyms(lines, words, f"REC_SEARCH_SYNONYMS: {path}")


def check_synonyms(settings: Settings) -> None:
    """What a worker would find in the table only once everything else has started. Raises ConfigError."""
    if settings.search_synonyms:
        load_synonyms(settings.search_synonyms, Words(settings.search_language))
