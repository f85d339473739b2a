"""seed → **articles, videos** → feed. What the demo shop has to read and to watch, about what its departments sell.

Pure, as `rec.demo.world`: the same seed gives the same, byte for byte. Invariants: titles and ids are unique, and none
is a product's; every department has as many; each says how long it takes (`length_s`).
"""

from __future__ import annotations

from random import Random

from rec.catalog import ARTICLE, VIDEO, Item
from rec.demo.data import CATEGORIES, Category, Family
from rec.demo.world import an

EACH = 6  # of a department: four to read, two to watch
_READ = (
    ("How to choose {a_kind}", "What matters in {a_kind}, what does not, and what is worth paying more for."),
    (
        "{Plural} compared: what the price buys",
        "Cheap, middling and dear {plural}, and where each is enough.",
    ),
    (
        "Five questions about {plural}, answered",
        "What people ask before they buy {plural}, answered at the counter.",
    ),
    ("Before you buy {a_kind}, read this", "Three things that {a_kind} should do for you, and two that it cannot."),
    ("{Plural}: the words explained", "What the small print on {plural} means, word by word."),
    ("Living with {a_kind}", "A year of daily use of {a_kind}: what held, what wore out, what we would buy again."),
)
_WATCH = (
    ("{Plural} in three minutes", "A short tour of {plural}: the kinds there are, and who each is for."),
    ("On the bench: {a_kind}", "We take {a_kind} apart, put it through a hard week, and show what is left."),
    ("Ask the {category} desk: {plural}", "Your questions about {plural}, answered on camera."),
)


def demo_content(seed: int = 7) -> list[Item]:
    """Articles and videos of every department, in the order of their ids."""
    return [_piece(category, number, seed) for category in CATEGORIES for number in range(EACH)]


def _piece(category: Category, number: int, seed: int) -> Item:
    rng = Random(f"{seed}/{category.prefix}/content/{number}")
    watch = number % 3 == 2
    family = category.families[number % len(category.families)]
    templates = _WATCH if watch else _READ
    title, about = templates[(number + category.hue) % len(templates)]
    words = _words(category, family, rng)
    minutes = rng.randrange(2, 5) if watch else rng.randrange(3, 9)
    kind = VIDEO if watch else ARTICLE
    item_id = f"{category.prefix}-{'film' if watch else 'guide'}-{number + 1}"
    return Item(
        item_id=item_id,
        title=title.format_map(words),
        category=category.name,
        description=f"{about.format_map(words)} {minutes} minutes to {'watch' if watch else 'read'}.",
        kind=kind,
        url=f"/product/{item_id}",
        image_url=f"/pictures/{item_id}.svg",
        attributes={"family": family.key, "kind": words["kind"], "length_s": 60 * minutes},
    )


def _words(category: Category, family: Family, rng: Random) -> dict[str, str]:
    kind = rng.choice(family.kinds)
    return {
        "kind": kind,
        "a_kind": f"good {kind}" if kind.endswith("s") and not kind.endswith("ss") else an(kind),
        "plural": family.plural,
        "Plural": family.plural[:1].upper() + family.plural[1:],
        "category": category.name,
    }
