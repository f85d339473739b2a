"""Embedding-space epochs: what a version reads is of the encoder it learned with, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from rec.catalog import Catalog, Item, View
from rec.errors import ModelError
from rec.examples import Epoch, encode_lesson
from rec.model.lineage import Lineage
from rec.model.served import Served, brain_of
from rec.model.teaching import Shape, Teaching, Training
from rec.model.texts import Texts

DIM = 4
ITEMS = [Item(item_id=name, title=name) for name in "abc"]
TEACHING = Teaching(
    Training(shape=Shape(dim=8, layers=1, heads=1, steps=4, ids=8, text_dim=DIM), batch=4, new=2), encoder="base"
)
BASE = {name: np.eye(DIM, dtype=np.float32)[at] for at, name in enumerate("abc")}
TUNED = {name: np.eye(DIM, dtype=np.float32)[at + 1] for at, name in enumerate("ab")}


def view(encoder: str = "base") -> View:
    catalog = Catalog(encoder)
    catalog.upsert(ITEMS)
    catalog.set_vectors(BASE)
    return catalog.view()


def lineage() -> Lineage:
    made = Lineage(TEACHING)
    made.know(ITEMS, BASE)
    return made


def served(made: Lineage, texts: Texts) -> Served:
    arrays, meta = made.version()
    return brain_of("v", arrays, meta, texts)[1]


def read(network: Served, at: View) -> np.ndarray:
    """What goes into the network, by the rows of the catalog."""
    said: np.ndarray = network.warm(at).items.text[1:].numpy()
    return said


def test_a_version_of_the_base_reads_the_catalog() -> None:
    assert np.array_equal(read(served(lineage(), Texts("base")), view()), view().vectors)


def test_a_version_of_an_epoch_reads_that_one_and_never_the_catalogs_vectors() -> None:
    made = lineage()
    made.tell("base+1", TUNED)
    made.take([encode_lesson(Epoch("base+1"))], 1)
    texts = Texts("base+1")
    network = served(made, texts)
    assert not read(network, view()).any()  # no vector of this epoch yet: no text, though the catalog has some
    texts.change(TUNED)
    assert np.array_equal(read(network, view()), np.stack([TUNED["a"], TUNED["b"], np.zeros(DIM)]))
    texts.change({}, ["a"])
    assert not read(network, view())[0].any()


def test_a_version_of_the_base_reads_no_vectors_of_a_catalog_with_another_encoder() -> None:
    assert not read(served(lineage(), Texts("base")), view("other")).any()


def test_a_version_is_not_made_over_texts_of_another_epoch() -> None:
    with pytest.raises(ModelError, match="reads texts of base"):
        served(lineage(), Texts("base+1"))


def test_at_a_switch_all_texts_of_the_last_epoch_go_and_the_weights_stay() -> None:
    made = lineage()
    weights = made._learner.network.items.text
    assert weights is not None
    before, rows = weights.weight.detach().clone(), made._learner.vocabulary.row_of
    made.tell("base+1", {"a": TUNED["a"]})
    assert made.take([encode_lesson(Epoch("base+1"))], 1).encoder == "base+1"
    text = made._learner.vocabulary.items().text.numpy()
    assert np.array_equal(text[rows["a"]], TUNED["a"])
    assert not text[rows["b"]].any()
    assert not text[rows["c"]].any()
    assert weights.weight.equal(before)
    made.know(ITEMS, BASE)  # vectors of the base come in again
    made.tell("base+2", {"c": TUNED["b"]})  # ... and of an epoch that it is not in
    text = made._learner.vocabulary.items().text.numpy()
    assert not text[rows["b"]].any()
    assert not text[rows["c"]].any()
    made.tell("base+1", {"b": TUNED["b"]})  # what comes later of its own is read
    assert np.array_equal(made._learner.vocabulary.items().text.numpy()[rows["b"]], TUNED["b"])


def test_the_way_back_to_the_base_is_a_switch_too() -> None:
    made = lineage()
    made.tell("base+1", TUNED)
    made.take([encode_lesson(Epoch("base+1")), encode_lesson(Epoch("base"))], 2)
    text, rows = made._learner.vocabulary.items().text.numpy(), made._learner.vocabulary.row_of
    assert all(np.array_equal(text[rows[name]], vector) for name, vector in BASE.items())
    assert made.version()[1]["encoder"] == "base"


def test_contenders_of_different_epochs_read_their_own() -> None:
    made = lineage()
    old = made.version()
    made.tell("base+1", TUNED)
    made.take([encode_lesson(Epoch("base+1"))], 1)
    made.contend("old", *old)
    made.contend("new", *made.version())
    seen = made._world.catalog.view()
    networks = {name: network for name, (_, network) in made._contenders.items() if network is not None}
    assert np.array_equal(read(networks["old"], seen), seen.vectors)
    assert np.array_equal(read(networks["new"], seen)[0], TUNED["a"])
    assert made.told([]).epochs == ("base+1",)
