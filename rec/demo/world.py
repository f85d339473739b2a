"""seed → **catalog**. Composes the demo shop's products from families, makers, materials, sizes and product lines.

Pure: the same seed gives the same products, byte for byte, on every machine (`random.Random` alone, no hash order).
Invariants: titles and ids are unique; every price lies between 1 and 5,000; every category has every family.
"""

from __future__ import annotations

import math
from random import Random
from string import Formatter
from typing import Any

from rec.catalog import Item
from rec.demo.data import CATEGORIES, Category, Family
from rec.demo.data.brands import BRANDS, CHARACTERS, SERIES, Brand
from rec.demo.data.words import FIRST_NAMES, LAST_NAMES, PEOPLE, SLOTS, TITLES
from rec.errors import BadInput

CURRENCY = "EUR"
MAX_SIZE = 8_000  # beyond it the smallest families run out of distinct titles
OUT_OF_STOCK = 0.04
_BOOKISH = frozenset({"Books"})  # their makers are publishers: not part of the title


def demo_catalog(seed: int = 7, size: int = 2400) -> list[Item]:
    """`size` products over all categories and families, as evenly as goes, in the order of their ids.

    Raises BadInput if `size` is below one per family or above what distinct titles allow.
    """
    families = [(category, family) for category in CATEGORIES for family in category.families]
    if not len(families) <= size <= MAX_SIZE:
        raise BadInput(f"size must be {len(families)}–{MAX_SIZE}, not {size}.", field="size")
    shares = _shares(size)
    items: list[Item] = []
    taken: set[str] = set()
    for category, share in zip(CATEGORIES, shares, strict=True):
        for number in range(1, share + 1):
            family = category.families[(number - 1) % len(category.families)]
            rng = Random(f"{seed}/{category.prefix}/{number}")  # its own: adding a product moves no other
            items.append(_product(category, family, number, rng, taken))
    return items


def family_of(item: Item) -> str:
    """The key of the item's family, empty for a product that is not of this world."""
    return str(item.attributes.get("family", ""))


def an(phrase: str) -> str:
    """The phrase with its indefinite article.

    >>> an("ash bowl"), an("USB microphone"), an("18 mm lens"), an("uplighter")
    ('an ash bowl', 'a USB microphone', 'an 18 mm lens', 'an uplighter')
    """
    lower = phrase.lower()
    if lower.startswith("herb "):
        return f"an {phrase}"  # the h is silent
    if lower.startswith(("usb", "ukulele", "one", "eucalyptus")):
        return f"a {phrase}"
    sounded = lower[:1] in tuple("aeiou") or lower.startswith(("8", "11 ", "18 "))
    return f"an {phrase}" if sounded else f"a {phrase}"


def _shares(size: int) -> list[int]:
    base, rest = divmod(size, len(CATEGORIES))
    return [base + (at < rest) for at in range(len(CATEGORIES))]


def _product(category: Category, family: Family, number: int, rng: Random, taken: set[str]) -> Item:
    for _ in range(500):
        brand = rng.choice([brand for brand in BRANDS if category.name in brand.categories])
        words = _words(category, family, brand, rng)
        template = rng.choice(family.titles)
        title = template.format_map(words)
        if title not in taken:
            taken.add(title)
            break
    else:
        raise BadInput(f"no distinct title is left for {family.plural}; ask for a smaller size.", field="size")
    about = _about(family, template, rng)
    spoken = {**words, "material": words["material"].replace("-", " "), "handle": words["handle"].replace("-", " ")}
    character = rng.choice(CHARACTERS[brand.character]).format_map(words)
    description = _sentence(about.format_map(spoken))
    if rng.random() < 0.75 and category.name not in _BOOKISH:
        description = f"{description} {_sentence(character)}"
    item_id = f"{category.prefix}-{number:04d}"
    return Item(
        item_id=item_id,
        title=title,
        category=category.name,
        brand=brand.name,
        description=description,
        price=_price(family, brand, words["rank"], rng),
        currency=CURRENCY,
        in_stock=rng.random() >= OUT_OF_STOCK,
        url=f"/product/{item_id}",
        image_url=f"/pictures/{item_id}.svg",
        attributes=_attributes(family, template, about, words),
    )


def _words(category: Category, family: Family, brand: Brand, rng: Random) -> dict[str, str]:
    """Every slot that a template may name, chosen. Always drawn in the same order: one product, one sequence."""
    kind = rng.choice(family.kinds)
    words = {slot: rng.choice(values) for slot, values in SLOTS.items()}
    for slot, (left, right) in TITLES.items():
        words[slot] = f"{rng.choice(left)} {rng.choice(right)}"
    size_at = rng.randrange(len(family.sizes)) if family.sizes else 0
    size = family.sizes[size_at] if family.sizes else ""
    words |= {
        "brand": brand.name,
        "series": rng.choice(SERIES[brand.character]),
        "author": f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        "kind": kind,
        "Kind": kind[:1].upper() + kind[1:],
        "a_kind": an(kind),
        "A_kind": _sentence_start(an(kind)),
        "material": rng.choice(family.materials) if family.materials else "",
        "size": size,
        "sized": size.replace(" liters", "-liter").replace(" liter", "-liter"),
        "people": PEOPLE.get(size, ""),
        "color": rng.choice(family.colors) if family.colors else "",
        "rank": str(size_at / (len(family.sizes) - 1)) if len(family.sizes) > 1 else "0.5",
    }
    return words


def _about(family: Family, template: str, rng: Random) -> str:
    """A sentence that does not name a material or color beside the one in the title, where there is such a one."""
    named = _slots(template)
    fitting = [about for about in family.abouts if _slots(about) & {"material", "color"} <= named]
    return rng.choice(fitting or family.abouts)


def _slots(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _price(family: Family, brand: Brand, rank: str, rng: Random) -> float:
    """Log-normal inside the family's range, dearer with size and the maker's level, with the maker's kind of ending."""
    low, high = math.log(family.low), math.log(family.high)
    place = 0.35 * float(rank) + 0.65 * min(max(rng.gauss(0.42, 0.2), 0.0), 1.0)
    raw = math.exp(low + (high - low) * place) * brand.level
    return round(min(max(_ending(raw, brand.level, rng), 1.5), 4_999.0), 2)


def _ending(raw: float, level: float, rng: Random) -> float:
    """A price as shops write it: dear makers in whole numbers, cheap ones just below.

    >>> rng = Random(1)
    >>> _ending(1034.2, 1.6, rng), _ending(87.3, 0.7, rng)
    (1030.0, 86.99)
    """
    if raw >= 500:
        whole = round(raw / 10) * 10.0
        return whole if level >= 1.2 else whole - 1.0
    if level >= 1.5 and raw >= 20:
        return float(round(raw))
    if raw >= 100:
        return float(round(raw / 5) * 5) - (0.1 if level < 1.0 else 0.0)
    return (
        math.floor(raw) + rng.choice((0.9, 0.95, 0.5) if level >= 0.9 else (0.99, 0.49, 0.95)) - (1 if raw > 20 else 0)
    )


def _attributes(family: Family, template: str, about: str, words: dict[str, str]) -> dict[str, Any]:
    """What the product is, as far as its texts say so; the family always, for its picture."""
    said = {"size" if name == "sized" else name for name in _slots(template) | _slots(about)}
    kept = {name: words[name] for name in ("material", "size", "color", "author", "scent", "origin") if name in said}
    return {"family": family.key, "kind": words["kind"], **{name: value for name, value in kept.items() if value}}


def _sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return _sentence_start(text).strip()
