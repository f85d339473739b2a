"""queries that were read + items' vectors → **meaning** → the home list. What a query is about, whoever has read it.

Search and the list after it read queries with the same encoder, and compare them with items as that one reads them: the
catalog's, or the tuned one of the version that serves, whose vectors are `texts`. After a switch of encoders the one
before reads until the other is loaded, and its vectors stay for as long. Any thread may ask.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from rec.catalog import Floats, View
from rec.model.texts import Texts
from rec.search.nearness import Nearness, ReadQuery

Known = Callable[[str], ReadQuery | None]  # a query as it was read, if it was


class Meaning:
    """`texts` None: queries are compared with the catalog's own vectors alone."""

    def __init__(self, known: Known = lambda query: None, texts: Texts | None = None) -> None:
        self._known, self.texts = known, texts
        self._before: Texts | None = None
        self._switching = Lock()
        self._nearness, self._lock = Nearness(), Lock()

    def serve(self, texts: Texts | None) -> None:
        """Compare queries with these from now on, and with those of before as long as their encoder still reads."""
        with self._switching:
            self._before, self.texts = self.texts, texts

    def texts_of(self, read: ReadQuery | None) -> Texts | None:
        """The items as the encoder of this query has read them; None where these are the catalog's own vectors."""
        if read is None:
            return None
        with self._switching:
            if self._before is not None and read.encoder == self._before.encoder:
                return self._before
            self._before = None  # the encoder after it has loaded, and reads
            return self.texts if self.texts is not None and read.encoder == self.texts.encoder else None

    def of(self, view: View, query: str) -> Floats | None:
        """Cosines [size] of a query with every item; None if it was not read, or by an encoder that no item was."""
        if (read := self._known(query)) is None:
            return None
        texts = self.texts_of(read)
        if read.encoder == view.encoder:
            return view.vectors @ read.vector if view.vectors.shape[1] == len(read.vector) else None
        with self._lock:
            return self._nearness.of(view, read, texts)
