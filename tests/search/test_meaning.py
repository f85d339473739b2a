"""With which vectors a query is compared, while the encoder that reads changes."""

from __future__ import annotations

import threading

import numpy as np

from rec.catalog import Catalog
from rec.model.texts import Texts
from rec.search.meaning import Meaning
from rec.search.nearness import ReadQuery
from tests.unit.shop import item, vector


def read_by(encoder: str) -> ReadQuery:
    return ReadQuery(encoder, vector("camping-1") / np.linalg.norm(vector("camping-1")))


def tuned(encoder: str) -> Texts:
    texts = Texts(encoder)
    texts.change({"camping-1": read_by(encoder).vector}, ())
    return texts


def test_the_encoder_of_before_has_its_vectors_until_the_next_one_reads() -> None:
    catalog, reads = Catalog(encoder="base"), read_by("a")
    catalog.upsert([item("camping-1"), item("music-1")])
    meaning = Meaning(lambda query: reads)
    meaning.serve(tuned("a"))
    meaning.serve(tuned("b"))  # its child is still loading
    cosines = meaning.of(catalog.view(), "tent")
    assert cosines is not None
    np.testing.assert_allclose(cosines[:2], [1, 0], atol=0.01)
    reads = read_by("b")
    assert meaning.of(catalog.view(), "tent") is not None
    reads = read_by("a")  # nobody reads with it any more, and what it had is let go
    assert meaning.of(catalog.view(), "tent") is None


def test_back_to_the_catalogs_own_the_tuned_vectors_are_let_go_when_its_encoder_reads() -> None:
    meaning = Meaning()
    meaning.serve(tuned("a"))
    meaning.serve(None)
    assert meaning.texts_of(read_by("a")) is not None
    assert meaning.texts_of(read_by("base")) is None
    assert meaning.texts_of(read_by("a")) is None
    assert meaning.texts_of(None) is None


class Asking(ReadQuery):
    """A query; while its encoder is compared for the first time, another thread has its turn, if it may."""

    compared, turned = threading.Event(), threading.Event()

    @property
    def encoder(self) -> str:
        self.compared.set()
        self.turned.wait(0.2)
        return self[0]


def test_a_switch_of_encoders_between_two_threads_fails_neither() -> None:
    meaning, asking = Meaning(), Asking(*read_by("a"))
    meaning.serve(tuned("a"))
    meaning.serve(tuned("b"))

    def switch() -> None:
        asking.compared.wait()
        meaning.texts_of(read_by("b"))  # the child of b reads, and a is let go
        asking.turned.set()

    other = threading.Thread(target=switch)
    other.start()
    texts = meaning.texts_of(asking)
    other.join()
    assert texts is not None
    assert texts.encoder == "a"
    assert meaning.texts_of(read_by("a")) is None
