"""Small word lists: what titles and descriptions draw on beside a family's own choices."""

from __future__ import annotations

# Slots that any family may use in its templates.
SLOTS: dict[str, tuple[str, ...]] = {
    "purpose": ("long runs", "cold mornings", "muddy trails", "hot days", "race days", "easy evenings"),
    "battery": ("18 hours", "24 hours", "30 hours", "36 hours", "40 hours"),
    "gears": ("8", "9", "11", "12", "16", "18"),
    "handle": ("ash", "walnut", "beech", "olive-wood", "oak", "cherry-wood"),
    "roast": ("light-roast", "medium-roast", "dark-roast"),
    "origin": ("Ethiopia", "Colombia", "Guatemala", "Kenya", "Peru", "Honduras", "Rwanda", "Sumatra"),
    "taste": ("cocoa and plum", "citrus and honey", "hazelnut", "red berries", "caramel and apple", "dark chocolate"),
    "glow": ("warm-white", "amber", "copper-wire", "colored"),
    "pattern": ("striped", "checked", "quilted", "herringbone", "dotted", "embroidered"),
    "age": ("2", "3", "4", "5", "6"),
    "count": ("40", "60", "75", "90", "110", "150"),
    "skin": ("dry", "sensitive", "mature", "normal"),
    "hair": ("fine", "curly", "dry", "colored", "tired"),
    "scent": (
        "rosehip", "chamomile", "sea buckthorn", "lavender", "bergamot", "cedar", "oat milk", "almond", "fig",
        "rosemary",
        "neroli", "green tea", "calendula", "vetiver",
    ),
    "finish": ("satin", "matte", "glossy", "sheer"),
    "extra": ("a table stand", "a windshield", "a boom arm", "a shock mount"),
    "theme": (
        "a lighthouse and its keeper", "bees", "two sisters and a debt", "the far side of the moon", "rivers",
        "a small theater in trouble", "winter light", "the sea floor", "an orchard", "forgotten maps", "memory",
        "a night train", "salt", "weather", "a village band",
    ),
}  # fmt: skip

FIRST_NAMES = (
    "Ines", "Tomas", "Wilhelmina", "Arun", "Sorcha", "Mateus", "Liv", "Jonah", "Adaeze", "Piet", "Noor", "Hanne",
    "Emil",
    "Yuki", "Rosalind", "Kwame", "Greta", "Leopold", "Samira", "Otis",
)  # fmt: skip
LAST_NAMES = (
    "Halvard", "Quillan", "Okonjo", "Brightwater", "Lindqvist", "Faraday-Moss", "Tavares", "Penhallow", "Ibarra",
    "Voss",
    "Marchetti", "Dunmore", "Achterberg", "Sato", "Ravenhill", "Mbeki-Lowe", "Castellan", "Nordgren", "Haddad",
    "Thistlewood",
)  # fmt: skip

# Titles by pattern: one word of each column.
TITLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "book": (
        (
            "The Salt", "The Cartographer's", "A Winter", "The Quiet", "The Borrowed", "The Glass", "Our Last",
            "The Orchard", "A Slow", "The Paper", "The Silver", "The Blue", "The Unwritten", "A Northern",
        ),
        (
            "Road", "Garden", "Daughters", "House", "Tide", "Winter", "Letters", "Season", "Harbor", "Hours",
            "Inheritance",
            "Summer", "Bridge", "Promise",
        ),
    ),
    "crime": (
        (
            "Death at", "The Drowned Man of", "No Witness in", "Cold Morning in", "The Last Ferry to", "Murder at",
            "A Stranger in", "Silence over", "The Vicar of", "Nightfall at",
        ),
        (
            "Gull Point", "Marrow Lane", "Saltby", "Wren Abbey", "Kettle Bay", "Ashcombe", "Thornfield Lock",
            "Candlewick Square", "Black Heron Farm", "Little Hexworth", "Pilgrim's Rest",
        ),
    ),
    "cooking": (
        (
            "One Pan,", "Slow Sundays,", "Bread,", "From the Garden,", "Small Plates,", "Weeknight", "The Salted",
            "The Winter", "My Grandmother's", "The Green",
        ),
        (
            "Kitchen", "Table", "Oven", "Suppers", "Pantry", "Feasts", "Harvest", "Soup Pot", "Bakery", "Picnic",
        ),
    ),
    "travel": (
        (
            "Walking", "Slow Trains to", "Islands of", "A Year in", "By Bicycle through", "Hidden", "Weekends in",
            "Lighthouses of", "On Foot across", "Mountain Huts of",
        ),
        (
            "the North Coast", "the Baltic", "the High Alps", "Galicia", "the Hebrides", "Sardinia", "Slovenia",
            "the Carpathians", "Lapland", "the Azores", "Patagonia",
        ),
    ),
    "science": (
        (
            "The Secret Life of", "A Short History of", "How to Think about", "The Shape of", "In Praise of",
            "What We Know about", "The Trouble with", "Listening to",
        ),
        (
            "Moss", "Gravity", "Sleep", "Rivers", "Numbers", "Stars", "Soil", "Chance", "Birds", "Time", "Oceans",
            "Language",
            "Mushrooms", "Heat",
        ),
    ),
    "game": (
        (
            "Harvest", "Midnight", "Lantern", "Pirate", "Clockwork", "Honey", "Mountain", "Secret", "Paper",
            "Rainy-Day",
            "Dragon", "Garden", "Comet", "Fox",
        ),
        (
            "Market", "Express", "Islands", "Quest", "Kingdoms", "Caravan", "Workshop", "Parade", "Trail", "Detectives",
            "Alley", "Festival",
        ),
    ),
}  # fmt: skip

PEOPLE = {
    "1-person": "one person",
    "2-person": "two people",
    "3-person": "three people",
    "4-person": "four people",
    "6-person": "six people",
}
