"""text → **words** → index and queries. What counts as a word, in the language of the shop.

The same `Words` read the catalog and the queries, so a query can only ask for what an index can hold. A query is never
given to a query parser: what has a meaning there (quotes, colons, AND, ^) is a separator here. No I/O, no clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from rec.errors import ConfigError

LONGEST = 40  # characters of a word; what is longer is no word but a number or an attack
MOST = 64  # words of a query that are looked at
# Languages with a Snowball stemmer, by ISO 639-1; `zh` has words without spaces; `none`: words as they are written.
STEMMED = {
    "ar": "arabic", "da": "danish", "nl": "dutch", "en": "english", "fi": "finnish", "fr": "french", "de": "german",
    "el": "greek", "hu": "hungarian", "it": "italian", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
LANGUAGES = (*STEMMED, "zh", "none")
# Where tantivy has Snowball's list of stop words; the words of other languages all count.
STOPPED = frozenset(("da", "nl", "en", "fi", "fr", "de", "hu", "it", "no", "pt", "ru", "es", "sv"))
# What ends a noun phrase, in languages whose phrases end with their noun; elsewhere no word is known to be the noun.
BREAKS = {
    "en": frozenset(("in", "with", "for", "by", "of", "from", "to")),
    "de": frozenset(("in", "mit", "für", "von", "aus", "zum", "zur")),
    "nl": frozenset(("in", "met", "voor", "van", "uit")),
    "da": frozenset(("i", "med", "til", "af", "fra")),
    "no": frozenset(("i", "med", "til", "av", "fra")),
    "sv": frozenset(("i", "med", "till", "för", "av", "från")),
}
_JOINS = frozenset(("and", "und", "en", "og", "och"))

_WORD = re.compile(r"\w+")
_SEAM = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")  # between digit and letter: 8ft, 2x4, sc141
_PHRASE = re.compile(r"[,:;(|]|\s[-–]\s")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")

Cut = Callable[[str], Sequence[str]]


class Words:
    """Splits a text into the words that are indexed: normalised (NFKC), without case and accents, stemmed."""

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise ConfigError(f"REC_SEARCH_LANGUAGE: {language!r} is not known. Known are: {known}.", field="language")
        self.language = language
        self._cut: Cut | None = _chinese() if language == "zh" else None
        self._stem = _stemmer(STEMMED.get(language))
        self._stopped = _stopper(STEMMED[language]) if language in STOPPED else None

    def __call__(self, text: str) -> list[str]:
        """The words in their order, repeated where they are.

        >>> Words("en")('Running SHOES for "AND" 8ft^2')
        ['run', 'shoe', 'for', 'and', '8', 'ft', '2']
        """
        return [stem for word in self.raw(text) for stem in self._stem(word)]

    def stems(self, word: str) -> list[str]:
        """What one word of `raw` is indexed as; mostly one stem."""
        return self._stem(word)

    def raw(self, text: str) -> list[str]:
        """The words as they are written, in lower case: what suggestions show.

        >>> Words("en").raw("Running shoes, 8ft")
        ['running', 'shoes', '8', 'ft']
        """
        plain = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
        found = [part for word in _WORD.findall(plain) for part in _SEAM.split(word)]
        if self._cut is not None:
            found = [part for word in found for part in self._segmented(word)]
        return [word for word in found if len(word) <= LONGEST]

    def stops(self, word: str) -> bool:
        """Whether a word of `raw` says nothing beside others: the, of, für.

        >>> Words("en").stops("the"), Words("en").stops("tent"), Words("none").stops("the")
        (True, False, False)
        """
        return self._stopped is not None and self._stopped(word)

    def heads(self, text: str) -> list[str]:
        """The stems that say what a text names: the last noun of its first phrase, and what `and` joins to it; [] where
        the language does not put it there. (A number before `in` makes inches of it.)

        >>> [Words("en").heads(t) for t in ("Family tent for four", "Tent lantern, 2 in", "pots and pans")]
        [['tent'], ['lantern'], ['pan', 'pot']]
        """
        breaks = BREAKS.get(self.language)
        if breaks is None:
            return []
        phrase: list[str] = []
        for part in _PHRASE.split(text):
            for word in self.raw(part):
                if word in breaks and phrase and not phrase[-1].isdecimal():
                    return self._last(phrase)
                phrase.append(word)
            if phrase:
                break
        return self._last(phrase)

    def _last(self, phrase: list[str]) -> list[str]:
        while phrase and (phrase[-1].isdecimal() or len(phrase[-1]) < 3 or self.stops(phrase[-1])):
            phrase.pop()
        ends = phrase[-1:] + (phrase[-3:-2] if len(phrase) > 2 and phrase[-2] in _JOINS else [])
        return [stem for word in ends for stem in self._stem(word)]

    def _segmented(self, word: str) -> list[str]:
        """Words of a language that writes none apart; what is not Han stays whole."""
        assert self._cut is not None
        if not _HAN.search(word):
            return [word]
        return [part for part in self._cut(word) if part.strip()]


def _stemmer(language: str | None) -> Callable[[str], list[str]]:
    builder = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.ascii_fold())
    if language is not None:
        builder = builder.filter(Filter.stemmer(language))
    analyzer: TextAnalyzer = builder.build()
    return lru_cache(65_536)(lambda word: list(analyzer.analyze(word)))


def _stopper(language: str) -> Callable[[str], bool]:
    analyzer = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stopword(language)).build()
    return lru_cache(65_536)(lambda word: not analyzer.analyze(word))


@lru_cache(1)
def _chinese() -> Cut:
    """jieba in its search mode: long words and the words inside them, so that 背包 finds 登山背包."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return lambda text: list(jieba.cut_for_search(text))
