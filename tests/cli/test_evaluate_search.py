"""`rec evaluate-search`: what it measures, and what it says of files that it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runner import rec_now


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    products, judgments = tmp_path / "products.csv", tmp_path / "judgments.csv"
    names = [f"{color} {thing}" for thing in ("tent", "lamp", "sofa") for color in ("red", "blue", "green")]
    products.write_text("product_uid,product_title\n" + "".join(f"p{n},{name}\n" for n, name in enumerate(names)))
    rows = [f"p{n},{name.upper()},3\np{(n + 1) % 9},{name.upper()},1\n" for n, name in enumerate(names)]
    judgments.write_text("product_uid,search_term,relevance\n" + "".join(rows))
    return str(products), str(judgments)


def test_every_way_of_searching_is_measured_and_the_learned_one_on_queries_it_has_not_seen(
    files: tuple[str, str],
) -> None:
    done = rec_now("evaluate-search", *files, "--no-text", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert (body["queries"], body["products"], body["half"]["queries"]) == (9, 9, 5)
    assert set(body["all"]) == {"bm25, words as typed", "bm25", "reciprocal ranks", "fused"}
    assert all(measured == {"recall@10": 1, "recall@100": 1, "mrr@10": 1} for measured in body["all"].values())
    assert "learned from reciprocal ranks" in body["half"]
    shown = rec_now("evaluate-search", *files, "--no-text")
    assert "fused" in shown.out
    assert "9 queries, 9 products" in shown.err


def test_a_column_that_is_not_there_and_a_judgment_that_is_no_number_are_named(files: tuple[str, str]) -> None:
    done = rec_now("evaluate-search", *files, "--no-text", "--title", "name")
    assert (done.code, "has no column name" in done.err) == (2, True)
    done = rec_now("evaluate-search", *files, "--no-text", "--relevance", "search_term")
    assert (done.code, "--relevance" in done.err) == (2, True)
    done = rec_now("evaluate-search", *files, "--no-text", "--tune", "1")
    assert (done.code, "--tune is of the encoder" in done.err) == (2, True)
    done = rec_now("evaluate-search", *files, "--no-text", "--relevant", "9")
    assert (done.code, "no judgment from 9.0 on" in done.err) == (2, True)
