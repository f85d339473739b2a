"""item → **picture**. A drawn SVG for every product: its family's pictogram in the product's own colors.

Pure and deterministic: the item decides, nothing else. Invariants: well-formed, under 4 kB, no script, no style
attribute, no outside reference, and every text of the item is escaped.
"""

from __future__ import annotations

import colorsys
from hashlib import blake2b
from xml.sax.saxutils import escape

from rec.catalog import Item
from rec.demo.data import CATEGORIES
from rec.demo.data.brands import BRANDS
from rec.demo.data.colors import COLORS
from rec.demo.drawings import drawing_of
from rec.kinds import AD_KIND, ARTICLE, VIDEO

MAX_BYTES = 4_096

_HUES = {category.name: category.hue for category in CATEGORIES}
_BRANDS = {brand.name: brand for brand in BRANDS}
_FIXED = {
    "k": "#343a44",
    "w": "#fffdf8",
    "m": "#b4bcc6",
    "o": "#c99a66",
    "n": "#8d6240",
    "g": "#68a56b",
    "h": "#47804f",
    "r": "#e2683c",
    "y": "#ffdf8e",
    "c": "#5b3a28",
    "s": "#c3e1ee",
    "f": "#4b4a55",
}
# Materials that show their own color; any other is dyed.
_MATERIALS = {
    "oak": "#c79a63",
    "walnut": "#7a5238",
    "beech": "#d8b080",
    "maple": "#dcb98c",
    "birch": "#dfc49a",
    "bamboo": "#d2b46c",
    "olive-wood": "#a87d4a",
    "mango-wood": "#9a6a42",
    "teak": "#b07b45",
    "acacia": "#8f5f3b",
    "eucalyptus": "#b98a5e",
    "ash": "#d6bd93",
    "cork": "#c79b6b",
    "rattan": "#cda56b",
    "jute": "#bf9f70",
    "sisal": "#d0b582",
    "spruce": "#e0b878",
    "cedar": "#b9743f",
    "mahogany": "#8c4630",
    "koa": "#a8672f",
    "cardboard": "#c9a678",
    "leather": "#9a6138",
    "terracotta": "#c8714c",
    "zinc": "#9aa7b2",
    "steel": "#a9b3bd",
    "stainless-steel": "#b3bcc5",
    "forged-steel": "#7d8791",
    "carbon-steel": "#69727c",
    "hardened steel": "#7d8791",
    "boron steel": "#69727c",
    "titanium": "#8f989f",
    "aluminum": "#bcc4cc",
    "cast-iron": "#4a4f57",
    "carbon": "#464b54",
    "copper": "#c57c4c",
    "brass": "#c9a54e",
    "tin": "#c0564a",
}
_SATURATION = {"technical": 0.5, "crafted": 0.34, "plain": 0.42, "playful": 0.56, "classic": 0.36}
_FURS = ("#a9764e", "#c89b6a", "#8d8a93", "#d9a05b", "#b98d86", "#7f6a5c", "#dfc3a0", "#9aa3ad")
_ACCENTS = ("#e2683c", "#2f8fb3", "#efb83f", "#4d9f78")


def picture(item: Item) -> str:
    """The item as an SVG of 200 × 200 units; a product from elsewhere gets its initial on a plain card."""
    family, kind = str(item.attributes.get("family", "")), str(item.attributes.get("kind", ""))
    dice = blake2b(item.item_id.encode(), digest_size=4).digest()
    hue = _HUES.get(item.category, dice[0] * 360 // 256)
    background, halo = _hsl(hue, 0.42, 0.935), _hsl(hue, 0.5, 0.875)
    main = _main_color(item, dice)
    paints = {
        **_FIXED,
        "a": main,
        "d": _mixed(main, "#1d2230", 0.24),
        "l": _mixed(main, "#ffffff", 0.46),
        "x": _accent(main),
        "b": halo,
    }
    drawing = drawing_of(family, kind)
    figure = drawing.format_map(paints) if drawing is not None else _initial(item, main)
    if item.kind == AD_KIND:
        return _poster(item, figure, main)
    x, y, radius = 70 + dice[1] % 60, 70 + dice[2] % 50, 66 + dice[3] % 22
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" role="img">'
        f"<title>{escape(item.title[:200])}</title>"
        f'<rect width="200" height="200" fill="{background}"/>'
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{halo}"/>'
        f'<ellipse cx="100" cy="164" rx="74" ry="9" fill="#1d2230" opacity=".1"/>'
        f"{figure}{_medium(item.kind)}</svg>"
    )


def _poster(item: Item, figure: str, main: str) -> str:
    """An ad: its product before the maker's color, and the maker's name."""
    ground, deep = _mixed(main, "#ffffff", 0.72), _mixed(main, "#1d2230", 0.62)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" role="img">'
        f"<title>{escape(item.title[:200])}</title>"
        f'<rect width="200" height="200" fill="{ground}"/><path d="M0 200V128L200 84v116z" fill="{deep}"/>'
        f'<g transform="translate(22 6) scale(.78)">{figure}</g>'
        f'<text x="100" y="186" font-family="sans-serif" font-size="19" font-weight="700" text-anchor="middle" '
        f'fill="#fffdf8">{escape(item.brand[:18])}</text></svg>'
    )


def _medium(kind: str) -> str:
    """The corner that tells an article, a sheet with lines, and a video, a button to play it, from a product."""
    if kind == ARTICLE:
        lines = "".join(f'<path d="M153 {y}h{width}"/>' for y, width in ((150, 22), (158, 22), (166, 14)))
        sheet = '<rect x="143" y="136" width="42" height="46" rx="5" fill="#fffdf8" stroke="#343a44" stroke-width="3"/>'
        return f'{sheet}<g stroke="#343a44" stroke-width="3" stroke-linecap="round">{lines}</g>'
    if kind == VIDEO:
        disc = '<circle cx="164" cy="160" r="24" fill="#343a44"/>'
        return f'{disc}<path d="M157 148v24l19-12z" fill="#fffdf8"/>'
    return ""


def _main_color(item: Item, dice: bytes) -> str:
    color, material = str(item.attributes.get("color", "")), str(item.attributes.get("material", ""))
    if color in COLORS:
        return COLORS[color]
    if material in _MATERIALS:
        return _MATERIALS[material]
    if item.attributes.get("family") == "plush":
        return _FURS[dice[1] % len(_FURS)]
    brand = _BRANDS.get(item.brand)
    if brand is None:
        return _hsl(dice[0] * 360 // 256, 0.45, 0.5)
    turn = dice[1] % 5 * 14 - 28  # the products of one maker are kin, not twins
    return _hsl((brand.hue + turn) % 360, _SATURATION[brand.character], 0.47 + dice[2] % 4 * 0.03)


def _initial(item: Item, main: str) -> str:
    letter = next((letter for letter in item.title if letter.isalnum()), "?").upper()
    return (
        f'<rect x="46" y="40" width="108" height="118" rx="16" fill="{main}"/>'
        f'<text x="100" y="120" font-family="sans-serif" font-size="60" font-weight="600" text-anchor="middle" '
        f'fill="#fffdf8">{escape(letter)}</text>'
    )


def _hsl(hue: float, saturation: float, lightness: float) -> str:
    """
    >>> _hsl(0, 1, 0.5), _hsl(120, 1, 0.25)
    ('#ff0000', '#008000')
    """
    return _hex(*colorsys.hls_to_rgb(hue % 360 / 360, lightness, saturation))


def _mixed(color: str, other: str, share: float) -> str:
    """`share` of the other color in the first.

    >>> _mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    one, two = _rgb(color), _rgb(other)
    red, green, blue = (a + (b - a) * share for a, b in zip(one, two, strict=True))
    return _hex(red, green, blue)


def _accent(color: str) -> str:
    """Of a few lively colors the one that stands out most against the given one."""
    hue = colorsys.rgb_to_hls(*_rgb(color))[0]

    def distance(other: str) -> float:
        apart = abs(hue - colorsys.rgb_to_hls(*_rgb(other))[0])
        return min(apart, 1 - apart)

    return max(_ACCENTS, key=distance)


def _rgb(color: str) -> tuple[float, float, float]:
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{int(part * 255 + 0.5):02x}" for part in (red, green, blue))
