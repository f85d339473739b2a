"""Conditions of rules: what they mean, how they are refused, and that they are evaluated as they are read."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.catalog import Catalog, Item
from rec.errors import BadInput
from rec.policy.columns import Columns
from rec.policy.expression import MAX_LENGTH, Compare, Condition, Either, Every, Not, parse

ITEMS = [
    Item(item_id="a", title="Dome Tent", category="camping", brand="A", price=40, attributes={"colour": "red"}),
    Item(item_id="b", title="Tunnel tent", category="camping", brand="B", price=60, attributes={"tags": ["new", "XL"]}),
    Item(item_id="c", title="Pan", category="kitchen", brand="A", price=None, attributes={"eco": True, "stars": 4.5}),
    Item(item_id="d", title='The "big" pan', category="", brand="C", price=0, in_stock=False, attributes={"stars": 5}),
]


def catalog() -> Catalog:
    made = Catalog()
    made.upsert(ITEMS)
    return made


def meant(condition: str) -> str:
    columns, view = Columns(), catalog().view()
    columns.follow(view)
    mask = columns.mask(parse(condition))
    return "".join(view.ids[row] for row in range(view.size) if mask[row])


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ('category = "camping"', "ab"),
        ("category = 'camping' and price < 50", "a"),
        ('category = "camping" and price < 50 and not brand in ("A","B")', ""),
        ('brand not in ("A", "B")', "d"),
        ('brand != "A"', "bd"),
        ("price >= 0", "abd"),
        ("not price < 50", "bc"),
        ("price is missing", "c"),
        ("category is not missing", "abc"),
        ('title contains "TENT"', "ab"),
        ("in_stock", "abc"),
        ("not in_stock", "d"),
        ("in_stock = false", "d"),
        ('attributes.colour = "red"', "a"),
        ('attributes.tags contains "xl"', "b"),
        ("attributes.eco = true", "c"),
        ("attributes.eco = 1", ""),
        ("attributes.stars > 4.5", "d"),
        ('attributes."stars" = 5', "d"),
        (r'title = "The \"big\" pan"', "d"),
        ('item_id = "a" or item_id = "c" and brand = "A"', "ac"),
        ('(item_id = "a" or item_id = "b") and brand = "B"', "b"),
        ('NOT (brand = "A" OR brand = "B")', "d"),
        ('brand < "B"', "ac"),
    ],
)
def test_a_condition_means_these_items(condition: str, items: str) -> None:
    assert meant(condition) == items


@pytest.mark.parametrize(
    ("condition", "position", "remedy"),
    [
        ("", 1, "the condition ends here"),
        ("pric < 5", 1, "Did you mean price?"),
        ("colour = 'red'", 1, "attributes.colour"),
        ("price < '5'", 9, "price is a number"),
        ("brand = 5", 9, "in quotes"),
        ("brand = Acme", 9, 'Write texts in quotes: "Acme"'),
        ("price = null", 9, "price is missing"),
        ('brand == "A"', 7, "Write =."),
        ('brand = "A', 9, "no end"),
        ('brand = "A" && price < 3', 13, "Write and."),
        ('brand = "A" price < 3', 13, "Join two tests"),
        ('(brand = "A"', 13, "parenthesis of position 1"),
        ('brand in "A"', 10, 'in ("A", "B")'),
        ('brand in ("A"', 14, "comma"),
        ("brand not 'A'", 11, "not in"),
        ("title contains 5", 16, "takes a text"),
        ("in_stock < true", 12, "= or !="),
        ("price", 6, "operator is missing"),
        ("__import__('os').system('x')", 17, "means nothing"),
        ("price < 5; drop table items", 10, "means nothing"),
        ("not " * 40 + "in_stock", 133, "Nest at most"),
    ],
)
def test_what_is_wrong_is_told_by_position_and_remedy(condition: str, position: int, remedy: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(condition)
    assert refused.value.message.startswith(f"condition, position {position}: "), refused.value.message
    assert remedy in refused.value.message


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(BadInput, match="too many"):
        parse('brand = "' + "x" * MAX_LENGTH + '"')
    with pytest.raises(BadInput, match="Make two rules"):
        parse("price in (" + ",".join("1" * 1 for _ in range(1_002)) + ")")


def test_columns_follow_the_catalog() -> None:
    shop, columns = catalog(), Columns()
    columns.follow(shop.view())
    cheap = parse("price < 50")
    assert columns.mask(cheap).tolist() == [True, False, False, True]
    shop.upsert([Item(item_id="b", title="Tunnel tent", price=5), Item(item_id="e", title="Mug", price=8)])
    shop.delete(["a"])
    columns.follow(shop.view())
    view = shop.view()
    assert {view.ids[row] for row in range(view.size) if view.known[row] and columns.mask(cheap)[row]} == {
        "b",
        "d",
        "e",
    }


# ---------------------------------------------------------------- as it is written, so it is read
fields = st.sampled_from(["category", "brand", "price", "in_stock", "attributes.colour", "attributes.stars"])
texts = st.text(st.sampled_from("abAB\"'\\ ()"), max_size=4)


@st.composite
def compared(draw: st.DrawFn) -> tuple[str, Condition]:
    field = draw(fields)
    if field == "in_stock":
        return "in_stock", Compare("in_stock", "=", (True,))
    if field in ("price", "attributes.stars"):
        operator, number = draw(st.sampled_from(["=", "<", "<=", ">", ">="])), draw(st.integers(-5, 90))
        return f"{field} {operator} {number}", Compare(field, operator, (float(number),))
    values = draw(st.lists(texts, min_size=1, max_size=3))
    quoted = ", ".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return f"{field} in ({quoted})", Compare(field, "in", tuple(values))


def joined(parts: Any) -> Any:
    def of(pair: tuple[str, list[tuple[str, Condition]]]) -> tuple[str, Condition]:
        word, some = pair
        if word == "not":
            return f"not ({some[0][0]})", Not(some[0][1])
        tree: Condition = (Every if word == "and" else Either)(tuple(each for _, each in some))
        return f" {word} ".join(f"({text})" for text, _ in some), tree

    return st.tuples(st.sampled_from(["and", "or", "not"]), st.lists(parts, min_size=2, max_size=3)).map(of)


def holds(condition: Condition, item: Item) -> bool:
    """By the book, one item at a time."""
    match condition:
        case Not():
            return not holds(condition.of, item)
        case Every():
            return all(holds(part, item) for part in condition.of)
        case Either():
            return any(holds(part, item) for part in condition.of)
        case Compare():
            head, _, name = condition.field.partition(".")
            value = item.attributes.get(name) if name else getattr(item, head)
            if value is None or value == "":
                return False
            if isinstance(value, bool | str):
                return value in condition.values
            if isinstance(value, list):
                return False
            bound = condition.values[0]
            assert isinstance(bound, float)
            compared = {"=": value == bound, "<": value < bound, "<=": value <= bound, ">": value > bound}
            return bool(compared.get(condition.operator, value >= bound))


@settings(max_examples=150, deadline=None)
@given(st.recursive(compared(), joined, max_leaves=8))
def test_what_is_written_is_what_is_evaluated(pair: tuple[str, Condition]) -> None:
    text, tree = pair
    assert parse(text) == tree
    columns, view = Columns(), catalog().view()
    columns.follow(view)
    assert columns.mask(parse(text)).tolist() == [holds(tree, item) for item in ITEMS]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text(st.sampled_from("()=<>!\"'.,andornti 5pce_"), max_size=40))
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse(text)
