"""Colors by the name a shop gives them, with the value they are drawn in."""

from __future__ import annotations

COLORS: dict[str, str] = {
    "moss green": "#6d8250",
    "forest green": "#2f6b4f",
    "sage": "#9caf88",
    "olive": "#7a7a3c",
    "mint": "#8fcfb6",
    "petrol": "#1f6a78",
    "sky blue": "#6fb1de",
    "cobalt": "#2f5fc4",
    "navy": "#2c3e66",
    "slate": "#5f6f7f",
    "lilac": "#a593cf",
    "plum": "#7c3f6b",
    "berry": "#b0335a",
    "rose": "#dc8fa0",
    "coral": "#ee7f63",
    "brick red": "#b2503c",
    "signal red": "#d6402f",
    "rust": "#bd6234",
    "orange": "#ea8f2f",
    "mustard": "#d3a02c",
    "lemon": "#e8cf4c",
    "sand": "#d2b98f",
    "linen": "#dccfb6",
    "chestnut": "#7d4f34",
    "charcoal": "#474c53",
    "black": "#33363b",
    "ivory": "#e9e2d0",
    "silver": "#b3bac1",
    "copper": "#c07a4b",
    "brass": "#c3a04a",
}

CLOTHING = ("navy", "forest green", "charcoal", "signal red", "sky blue", "mustard", "plum", "petrol", "coral", "black")
OUTDOOR = ("moss green", "olive", "rust", "mustard", "petrol", "slate", "sand", "brick red")
HOMELY = ("linen", "sage", "rose", "mustard", "slate", "ivory", "petrol", "rust", "lilac", "charcoal")
BRIGHT = ("signal red", "cobalt", "lemon", "mint", "coral", "orange", "lilac", "forest green")
METALS = ("brass", "copper", "black", "silver", "ivory")
