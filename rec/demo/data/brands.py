"""Invented makers: each has a character, a price level and a few departments. Any likeness to a real one is chance."""

from __future__ import annotations

from typing import NamedTuple


class Brand(NamedTuple):
    """`level` multiplies a family's price; `hue` (degrees) colors what has no color of its own."""

    name: str
    character: str
    level: float
    hue: int
    categories: tuple[str, ...]


BRANDS: tuple[Brand, ...] = (
    Brand("Tarnvale", "technical", 1.35, 16, ("Camping", "Running")),
    Brand("Oskelund", "crafted", 1.65, 152, ("Camping", "Home Textiles")),
    Brand("Brackenrow", "plain", 0.72, 96, ("Camping", "Garden")),
    Brand("Quillmoor", "classic", 1.0, 208, ("Camping", "Cycling")),
    Brand("Veltrane", "technical", 1.45, 350, ("Running", "Cycling")),
    Brand("Loparin", "playful", 0.82, 174, ("Running",)),
    Brand("Stillmile", "classic", 1.05, 226, ("Running",)),
    Brand("Zephrant", "technical", 1.7, 190, ("Cycling",)),
    Brand("Hobbelwick", "plain", 0.7, 36, ("Cycling", "Toys")),
    Brand("Mallowfen", "classic", 1.1, 128, ("Garden",)),
    Brand("Tillenby", "plain", 0.7, 64, ("Garden", "Pets")),
    Brand("Thornquist & Dale", "crafted", 1.6, 24, ("Garden",)),
    Brand("Brasenholt", "crafted", 1.7, 30, ("Kitchen", "Coffee")),
    Brand("Pottersgill", "classic", 1.0, 214, ("Kitchen",)),
    Brand("Nimbleby", "plain", 0.66, 190, ("Kitchen", "Stationery")),
    Brand("Kessarine", "playful", 0.92, 342, ("Kitchen", "Home Textiles")),
    Brand("Morrowcup", "playful", 0.9, 22, ("Coffee",)),
    Brand("Arvento Nove", "technical", 1.6, 204, ("Coffee",)),
    Brand("Cafarin", "classic", 1.0, 14, ("Coffee",)),
    Brand("Lumabryn", "technical", 1.35, 44, ("Lighting", "Photo")),
    Brand("Glimmerwick", "playful", 0.85, 276, ("Lighting", "Toys")),
    Brand("Askeborn", "crafted", 1.8, 168, ("Lighting", "Home Textiles")),
    Brand("Wattleby", "plain", 0.65, 210, ("Lighting",)),
    Brand("Fennimoor", "classic", 1.0, 250, ("Home Textiles", "Pets")),
    Brand("Sovalind", "plain", 0.74, 330, ("Home Textiles",)),
    Brand("Pip & Marrow", "playful", 1.0, 4, ("Toys",)),
    Brand("Tumblegate", "classic", 1.15, 218, ("Toys",)),
    Brand("Larkfoot Press", "classic", 1.0, 350, ("Books",)),
    Brand("Ninth Meridian", "technical", 1.15, 212, ("Books",)),
    Brand("Tidewrack Books", "plain", 0.8, 182, ("Books",)),
    Brand("Owl & Anvil", "crafted", 1.3, 28, ("Books",)),
    Brand("Inkerby", "classic", 1.0, 232, ("Stationery",)),
    Brand("Papelline", "crafted", 1.55, 340, ("Stationery",)),
    Brand("Scrivelo", "playful", 0.9, 160, ("Stationery",)),
    Brand("Cordeval", "crafted", 1.65, 20, ("Music",)),
    Brand("Fellmarrow", "classic", 1.0, 200, ("Music", "Audio")),
    Brand("Jinglebarn", "plain", 0.68, 48, ("Music", "Toys")),
    Brand("Aurisvane", "technical", 1.55, 262, ("Audio",)),
    Brand("Hushfield", "classic", 1.1, 158, ("Audio",)),
    Brand("Bopkin", "playful", 0.72, 338, ("Audio",)),
    Brand("Obskelier", "crafted", 1.7, 12, ("Photo",)),
    Brand("Lenskeld", "technical", 1.3, 220, ("Photo",)),
    Brand("Snaplow", "plain", 0.75, 188, ("Photo", "Audio")),
    Brand("Waggenhall", "classic", 1.05, 26, ("Pets",)),
    Brand("Mewsbury", "playful", 0.9, 288, ("Pets",)),
    Brand("Verbenelle", "crafted", 1.5, 284, ("Beauty",)),
    Brand("Saltmere Botanics", "classic", 1.0, 150, ("Beauty",)),
    Brand("Dewlin", "plain", 0.7, 196, ("Beauty",)),
    Brand("Rosaquent", "playful", 1.2, 342, ("Beauty",)),
)

# Names of product lines, by character of the maker.
SERIES: dict[str, tuple[str, ...]] = {
    "technical": (
        "Apex", "Vector", "Orbit", "Delta", "Ion", "Axis", "Pulse", "Helix", "Quanta", "Vertex", "Nova", "Tempo",
        "Trace", "Argon", "Zenith", "Flux",
    ),
    "crafted": (
        "Alder", "Heron", "Linden", "Rowan", "Hazel", "Ember", "Marl", "Fable", "Juniper", "Kiln", "Loom", "Sorrel",
        "Birch", "Tamarind", "Yarrow", "Willow",
    ),
    "plain": (
        "Basic", "Daily", "Easy", "Handy", "Simple", "Steady", "Start", "Common", "Family", "Solid", "Neat", "Ready",
        "Home", "Extra", "Value", "Core",
    ),
    "playful": (
        "Pepper", "Biscuit", "Pogo", "Ziggy", "Mango", "Bubble", "Dot", "Waffle", "Minnow", "Jazz", "Pickle",
        "Confetti",
        "Tango", "Pixel", "Noodle", "Hopscotch",
    ),
    "classic": (
        "Heritage", "Kestrel", "Harbour", "Marlow", "Windsor", "Ashdown", "Meridian", "Cotswold", "Lansdowne", "Ravel",
        "Abbey", "Winton", "Solent", "Thames", "Belmont", "Carrick",
    ),
}  # fmt: skip

# What the second sentence of a description says, by character.
CHARACTERS: dict[str, tuple[str, ...]] = {
    "technical": (
        "{brand} tests every part of the {series} line until it fails, then makes that part better.",
        "Part of the {series} line by {brand}, built around measurable performance.",
        "Spare parts for the {series} line are kept for ten years.",
    ),
    "crafted": (
        "Made in small batches in the {brand} workshop, a few hundred a year.",
        "{brand} makes the {series} line by hand, so no two are quite alike.",
        "A piece by {brand} to keep, mend and pass on.",
    ),
    "plain": (
        "No frills, a fair price and a two-year guarantee from {brand}.",
        "The {series} line does one thing and costs little.",
        "{brand} keeps it simple and easy to replace.",
    ),
    "playful": (
        "{brand} brings a little color to an ordinary day.",
        "From the cheerful {series} line, easy to give as a present.",
        "Looks like fun, works like the serious ones.",
    ),
    "classic": (
        "A long-standing favorite of the {series} line, hardly changed in years.",
        "{brand} quality at a sensible price.",
        "Chosen again and again by people who want no surprises.",
    ),
}
