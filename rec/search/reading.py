"""what was typed → **reading** → lexical and dense retrieval. A query as words with weights. Pure but for caches.

asides               a price, an order, what it is not about           rec.search.asides
typed words          as they are                                       weight 1
the, of, for         as they are, but nothing is found for them beside other words
a word nobody has    its likeliest spellings, or the two words in it   less; one that is known to be a word: itself
neighbours           as one word, where items have that                less
synonyms             of words and of phrases, from the shop's table    less; of a phrase all words together
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rec.errors import BadInput, ConfigError
from rec.protocol import MAX_QUERY
from rec.search.asides import Asides, asides
from rec.search.lexical import LexicalIndex, Term
from rec.search.spelling import Speller
from rec.search.words import MOST, Words

if TYPE_CHECKING:
    from rec.config import Settings

APART, TOGETHER, SYNONYM = 0.7, 0.5, 0.6
Phrase = tuple[str, ...]  # of stems


class Reading(NamedTuple):
    """`typed`: the words of the query, each once. `words`: all of them, as they are written; `corrected`: the same with
    those that were taken for others, None if none was. `heads`: the stems that say what is looked for. `aside`: what it
    says beside its words; `without` in stems."""

    query: str
    typed: tuple[str, ...]
    terms: tuple[Term, ...]
    words: str = ""
    corrected: str | None = None
    heads: frozenset[str] = frozenset()
    aside: Asides = Asides("")
    without: tuple[str, ...] = ()

    def understood(self, *, price: bool = True) -> str | None:
        """How it was read, where that is not as it was typed; without the price, if that does not hold."""
        said = (self.aside if price else self.aside._replace(price_max=None)).said
        return ", ".join([self.corrected or self.words, *said]) if self.corrected or said else None


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
    """Reads queries by the words of one index. `known`: words that are none misspelt, whether the index has them or
    not, such as the vocabulary of the encoder that will read them."""

    def __init__(
        self, index: LexicalIndex, synonyms: Synonyms | None = None, known: Container[str] = frozenset()
    ) -> None:
        self._index, self._words, self.known = index, index.words, known
        self._synonyms = synonyms or Synonyms()
        self._speller = Speller(index.spelled, known)

    def read(self, query: str) -> Reading:
        """Raises BadInput."""
        line = cleaned(query)
        self._speller.renew(self._index.generation)
        aside = self._aside(line)
        every = self._words.raw(aside.text)[:MOST]
        raw = self._telling(every)
        stems = [stem for word in raw for stem in self._words.stems(word)]
        typed = tuple(dict.fromkeys(stems))
        groups = {stem: at for at, stem in enumerate(typed)}
        heads = self._words.heads(aside.text)
        groups |= {
            stem: groups[heads[0]] for stem in heads[1:] if stem in groups and heads[0] in groups
        }  # either will do
        wanted = _Wanted({(stem, ()): (1.0, (at,)) for stem, at in groups.items()})
        more, joined = count(len(groups)), list[str]()
        for one, other in zip(raw, raw[1:], strict=False):
            if both := self._speller.joined(one, other):
                joined.append(both)
                of = tuple(dict.fromkeys(groups[stem] for word in (one, other) for stem in self._words.stems(word)))
                wanted.add(self._words.stems(both), TOGETHER, of)
        changed: dict[str, str] = {}
        for word in dict.fromkeys(raw):
            own = self._words.stems(word)
            if any(stem in self._index.document_counts for stem in own) or any(word in one for one in joined):
                continue
            of = tuple(groups[stem] for stem in own)
            if parts := self._apart(word):
                for part in parts:  # each is a word of its own: an item with one of them has half
                    wanted.add(self._words.stems(part), APART, (next(more),))
                changed[word] = " ".join(parts)
            elif guesses := self._speller.guesses(word):
                for guess in guesses:
                    wanted.add(self._words.stems(guess.word), guess.weight, of)
                changed[word] = guesses[0].word
            if word in changed and not set(heads).isdisjoint(own):
                heads += self._words.heads(changed[word])
        for phrase, start, end in self._synonyms.of(stems):
            wanted.add_whole(phrase, SYNONYM, tuple(dict.fromkeys(groups[stem] for stem in stems[start:end])))
        for word in set(every) - set(raw):  # they still tell two titles apart that have all the others
            wanted.add(self._words.stems(word), 1.0, ())
        counts = self._index.document_counts
        terms = tuple(
            Term(word, weight, of, others)
            for (word, others), (weight, of) in wanted.words.items()
            if all(one in counts for one in (word, *others))
        )
        corrected = " ".join(changed.get(word, word) for word in every) if changed else None
        without = tuple(stem for word in aside.without for stem in self._words(word))
        return Reading(line, typed, terms, " ".join(every), corrected, frozenset(heads), aside, without)

    def _aside(self, line: str) -> Asides:
        """None is read out of what is somebody's name."""
        if self._index.named(line) or " ".join(self._words(line)) in self._index.titles:
            return Asides(line)
        return asides(line, self._words.language)

    def _telling(self, raw: list[str]) -> list[str]:
        """Without the words that say nothing beside others. After a number they do: 8 in are inches."""
        telling = [
            word for at, word in enumerate(raw) if not self._words.stops(word) or (at and raw[at - 1].isdecimal())
        ]
        return telling if any(not self._words.stops(word) for word in telling) else raw

    def _apart(self, word: str) -> list[str]:
        """The two words in it; of a word that is known only what stands side by side in a title: no lap, top."""
        parts = self._speller.apart(word)
        if not parts or word not in self.known:
            return parts
        one, other = self._words.stems(parts[0]), self._words.stems(parts[1])
        return parts if one and other and self._index.beside(one[-1], other[0]) else []


class _Wanted:
    """Words to look for, each with the others that have to be there too: its largest weight, and all it stands for."""

    def __init__(self, words: dict[tuple[str, tuple[str, ...]], tuple[float, tuple[int, ...]]]) -> None:
        self.words = words

    def add(self, words: Iterable[str], weight: float, groups: tuple[int, ...]) -> None:
        """Any of these words."""
        for word in words:
            self._add(word, (), weight, groups)

    def add_whole(self, phrase: Sequence[str], weight: float, groups: tuple[int, ...]) -> None:
        """All of these words together."""
        for word in dict.fromkeys(phrase):
            self._add(word, tuple(dict.fromkeys(other for other in phrase if other != word)), weight, groups)

    def _add(self, word: str, others: tuple[str, ...], weight: float, groups: tuple[int, ...]) -> None:
        before, of = self.words.get((word, others), (0.0, ()))
        self.words[word, others] = max(before, weight), tuple(dict.fromkeys([*of, *groups]))


class Synonyms:
    """Phrases that stand for each other: from each, by its first word, to the phrases it may be found under."""

    def __init__(self, rules: Mapping[Phrase, Sequence[Phrase]] | None = None) -> None:
        self._by_first: dict[str, list[tuple[Phrase, Sequence[Phrase]]]] = {}
        for phrase, others in (rules or {}).items():
            self._by_first.setdefault(phrase[0], []).append((phrase, others))

    def of(self, stems: Sequence[str]) -> list[tuple[Phrase, int, int]]:
        """What to look for beside the words of the query; each with the places in it, from and to, that it stands for.
        Of a phrase an item has to have all words."""
        found: list[tuple[Phrase, int, int]] = []
        for at, stem in enumerate(stems):
            for phrase, others in self._by_first.get(stem, ()):
                if tuple(stems[at : at + len(phrase)]) == phrase:
                    found += [(other, at, at + len(phrase)) for other in others]
        return found


def read_synonyms(lines: Iterable[str], words: Words, name: str = "synonyms") -> Synonyms:
    """Solr's format: `sofa, couch, settee` stand for each other; `tee => t-shirt` one way; `#` begins a comment.

    Raises ConfigError with the line that is none.

    >>> read_synonyms(["sofa, couch"], Words("en")).of(["blue", "sofa"])
    [(('couch',), 1, 2)]
    """
    rules: dict[Phrase, list[Phrase]] = {}
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
            rules.setdefault(one, []).extend(other for other in tos if other != one)
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
