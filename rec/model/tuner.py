"""trainer → **tuner child** → adapters, vectors. The process in which the text encoder is tuned and re-read.

Its own, so that neither the online learner nor a list waits for it, and at the lowest priority. `agents.tuner` starts
it with `initializer=begin` and submits the other functions. No torch as it loads: the parent imports this module, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from rec.errors import ModelError
from rec.model.background import begin_background
from rec.model.checkpoint import MODEL, digest_of, save
from rec.model.encoder import epoch_encoder
from rec.model.teaching import Tune
from rec.model.weights import encoder_id, tuned_id
from rec.pairs import Lessons

if TYPE_CHECKING:
    from rec.model.encoder import TextEncoder

_lessons = msgspec.msgpack.Decoder(Lessons)
_tune = msgspec.msgpack.Decoder(Tune)


class _Here(NamedTuple):
    """What this process was told: the base encoder, where adapters lie, and what it computes on."""

    name: str
    url: str
    device: str


_here: list[_Here] = []
_loaded: list[TextEncoder] = []  # one: of the epoch that was asked for last


class Visit(NamedTuple):
    """What came of tuning: the encoder id of the new epoch, empty if it was no better; and the metrics."""

    encoder: str
    metrics: dict[str, float]


def begin(name: str, url: str, threads: int, device: str = "cpu") -> None:
    """Initializer: behind everybody else."""
    begin_background(threads)
    _here[:] = [_Here(name, url, device)]


def tune(last: str, lessons: bytes, how: bytes, more: dict[str, Any]) -> Visit:
    """Tune on from the epoch `last`; what is better is a checkpoint with `more` in its meta. Raises ModelError."""
    from rec.model.tuning import tune

    settings, encoder = _tune.decode(how), _encoder(last)
    _loaded.clear()  # it is about to be neither the one nor the other
    tuned = tune(encoder, _lessons.decode(lessons), settings)
    if not tuned.better:
        return Visit("", tuned.metrics)
    here, base = _here[0], encoder_id(_here[0].name)
    meta = {"base": base, "parent": last, "rank": encoder.rank, "alpha": encoder.alpha, "metrics": tuned.metrics}
    digest = digest_of(tuned.weights)
    save(here.url, digest[:16], {MODEL: tuned.weights}, {**meta, **more})
    encoder.encoder_id = tuned_id(base, digest)
    _loaded[:] = [encoder]
    return Visit(encoder.encoder_id, tuned.metrics)


def encode(encoder: str, texts: list[str]) -> tuple[int, bytes]:
    """(dim, float32 bytes [n * dim]) of the texts by the encoder of an epoch. Raises ModelError."""
    found = _encoder(encoder)
    return found.dim, found.encode(texts).tobytes()


def _encoder(encoder: str) -> TextEncoder:
    if not _loaded or _loaded[0].encoder_id != encoder:
        _loaded.clear()
        here = _here[0]
        _loaded[:] = [epoch_encoder(here.name, here.url, encoder, here.device)]
    if _loaded[0].encoder_id != encoder:
        raise ModelError(f"the encoder {encoder} is not made from {_here[0].name}, which is {_loaded[0].encoder_id}")
    return _loaded[0]
