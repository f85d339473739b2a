"""queries that were read + items' vectors → **meaning** → the home list. What a query is about, whoever has read it.

Search and the list after it read queries with the same encoder, and compare them with items as that one reads them: the
catalog's, or the tuned one of the version that serves, whose vectors are `texts`. Any thread may ask.
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
        self._nearness, self._lock = Nearness(), Lock()

    def of(self, view: View, query: str) -> Floats | None:
        """Cosines [size] of a query with every item; None if it was not read, or by an encoder that no item was."""
        if (read := self._known(query)) is None:
            return None
        if read.encoder == view.encoder:
            return view.vectors @ read.vector if view.vectors.shape[1] == len(read.vector) else None
        with self._lock:
            return self._nearness.of(view, read, self.texts)
