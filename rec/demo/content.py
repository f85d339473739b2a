"""seed → **articles, videos** → feed. What the demo shop has to read and to watch, about what its departments sell.

Pure, as `rec.demo.world`: the same seed gives the same, byte for byte. Invariants: titles and ids are unique, and none
is a product's; every department has as many; each has something to read (`sections`) or to see (`scenes`), and says how
long that takes (`length_s`): an article by its words, a film by its scenes.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rec.catalog import Item
from rec.demo.data import CATEGORIES, Category, Family
from rec.demo.data.reading import INSTEAD, READ, THEMES, USED_UP, WATCH, Piece
from rec.demo.world import an
from rec.kinds import ARTICLE, VIDEO

EACH = 6  # of a department: four to read, two to watch
WORDS_A_MINUTE = 238  # silent reading of prose: Brysbaert 2019, "How many words do we read per minute?"
SCENE_S = 6
_PICTURES = 5  # of products, in a film


def demo_content(seed: int = 7) -> list[Item]:
    """Articles and videos of every department, in the order of their ids."""
    return [_piece(category, number, seed) for category in CATEGORIES for number in range(EACH)]


def _piece(category: Category, number: int, seed: int) -> Item:
    rng = Random(f"{seed}/{category.prefix}/content/{number}")
    watch = number % 3 == 2
    at = number % len(category.families)
    family = category.families[at]
    pieces = WATCH if watch else READ
    piece = pieces[(number + category.hue) % len(pieces)]
    if USED_UP & {category.name, family.key}:
        piece = piece._replace(parts=tuple(INSTEAD.get(part, part) for part in piece.parts))
    words = _words(category, family, rng)
    body: dict[str, Any]
    if watch:
        scenes = _scenes(piece, category, at, words, rng)
        length = sum(scene["seconds"] for scene in scenes)
        body, takes = {"scenes": scenes}, f"{length} seconds to watch."
    else:
        sections = _sections(piece, words, rng)
        length = round(60 * sum(len(section["text"].split()) for section in sections) / WORDS_A_MINUTE)
        body, takes = {"sections": sections}, "About a minute to read."
    item_id = f"{category.prefix}-{'film' if watch else 'guide'}-{number + 1}"
    return Item(
        item_id=item_id,
        title=piece.title.format_map(words),
        category=category.name,
        description=f"{piece.about.format_map(words)} {takes}",
        kind=VIDEO if watch else ARTICLE,
        url=f"/read/{item_id}",
        image_url=f"/pictures/{item_id}.svg",
        attributes={"family": family.key, "kind": words["kind"], "length_s": length, **body},
    )


def _sections(piece: Piece, words: dict[str, str], rng: Random) -> list[dict[str, str]]:
    """[{heading, text}], the first and the last without a heading."""
    parts = [_part(theme, words, rng) for theme in piece.parts]
    opening, closing = ({"heading": "", "text": text.format_map(words)} for text in (piece.opening, piece.closing))
    return [opening, *(part for part in parts if part), closing]


def _scenes(piece: Piece, category: Category, at: int, words: dict[str, str], rng: Random) -> list[dict[str, Any]]:
    """[{image_url, text, seconds}]: products of one family go by, and what is said of them."""
    texts = [piece.opening.format_map(words)]
    texts += [part["text"] for theme in piece.parts if (part := _part(theme, words, rng))]
    texts.append(piece.closing.format_map(words))
    first, step = at + 1, len(category.families)  # as rec.demo.world deals families out
    numbers = [first + step * turn for turn in range(_PICTURES)]
    return [
        {"image_url": f"/pictures/{category.prefix}-{number:04d}.svg", "text": text, "seconds": SCENE_S}
        for text, number in zip(texts, numbers, strict=True)
    ]


def _part(theme: str, words: dict[str, str], rng: Random) -> dict[str, str] | None:
    """A paragraph of the theme, if the family has what it speaks of."""
    heading, texts = THEMES[theme]
    text = rng.choice(texts)
    if any(f"{{{name}}}" in text and not value for name, value in words.items()):
        return None
    return {"heading": heading, "text": text.format_map(words)}


def _words(category: Category, family: Family, rng: Random) -> dict[str, str]:
    kind = rng.choice(family.kinds)
    a_kind = f"good {kind}" if kind.endswith("s") and not kind.endswith("ss") else an(kind)
    return {
        "kind": kind,
        "a_kind": a_kind,
        "A_kind": a_kind[:1].upper() + a_kind[1:],
        "plural": family.plural,
        "Plural": family.plural[:1].upper() + family.plural[1:],
        "category": category.name,
        "kinds": _and(family.kinds[:6]),
        "materials": _and(tuple(material.replace("-", " ") for material in family.materials)),
        "sizes": _range(family.sizes),
        "low": f"{family.low:g}",
        "middle": f"{_round((family.low * family.high) ** 0.5):g}",
        "high": f"{family.high:g}",
    }


def _round(price: float) -> int:
    """
    >>> _round(8.4), _round(43.2), _round(327.0)
    (8, 45, 330)
    """
    step = 1 if price < 20 else 5 if price < 100 else 10
    return round(price / step) * step


def _and(things: tuple[str, ...]) -> str:
    """
    >>> _and(("oak", "ash", "elm")), _and(("oak",)), _and(())
    ('oak, ash and elm', 'oak', '')
    """
    return " and ".join([", ".join(things[:-1]), things[-1]]) if len(things) > 1 else "".join(things)


def _range(sizes: tuple[str, ...]) -> str:
    """
    >>> _range(("S", "M", "L")), _range(())
    ('S to L', '')
    """
    return f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else "".join(sizes)
