"""The pictograms, by family: what each product of the demo looks like before it is given its colors."""

from __future__ import annotations

from rec.demo.drawings.home import HOME
from rec.demo.drawings.leisure import LEISURE
from rec.demo.drawings.outdoor import OUTDOOR
from rec.demo.drawings.people import PEOPLE

DRAWINGS: dict[str, str] = {**OUTDOOR, **HOME, **LEISURE, **PEOPLE}

# Kinds that look different from the rest of their family: (word of the kind, drawing).
VARIANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "garden-tool": (("fork", "garden-tool/fork"), ("rake", "garden-tool/rake"), ("hoe", "garden-tool/rake")),
    "coffee-dripper": (("press", "coffee-dripper/press"), ("cold-brew", "coffee-dripper/press")),
    "plush": tuple((animal, f"plush/{animal}") for animal in ("rabbit", "fox", "cat", "elephant", "mouse")),
    "toy-vehicle": tuple((word, f"toy-vehicle/{word}") for word in ("bus", "fire", "tractor", "car")),
    "hand-drum": tuple((word, f"hand-drum/{word}") for word in ("cajon", "tambourine", "bongo")),
    "music-stand": (
        ("metronome", "music-stand/metronome"),
        ("guitar", "music-stand/guitar"),
        ("instrument", "music-stand/guitar"),
    ),
    "pet-toy": tuple((word, f"pet-toy/{word}") for word in ("rope", "duck", "mouse")),
    "face-cream": (("serum", "face-cream/serum"),),
    "soap": (("hand soap", "soap/pump"), ("gel", "soap/pump"), ("oil", "soap/pump")),
    "lipstick": (("polish", "lipstick/bottle"), ("gloss", "lipstick/bottle"), ("blush", "lipstick/compact")),
}


def drawing_of(family: str, kind: str) -> str | None:
    """The pictogram of a kind of a family, with its paint still to be filled in; None for an unknown family."""
    for word, name in VARIANTS.get(family, ()):
        if word in kind:
            return DRAWINGS[name]
    return DRAWINGS.get(family)
