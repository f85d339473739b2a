"""Writes the two files of the tutorial: products.csv and events.csv, as a small shop would export them.

    python examples/sample_shop.py FOLDER

Products and shoppers are made up (rec/demo), the same each time; the events end now.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rec.demo.shoppers import demo_history
from rec.demo.world import demo_catalog

KEPT = ("view_item", "add_to_cart", "purchase")


def write(path: Path, head: str, rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head.split(","))
        writer.writerows(rows)
    print(path)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    products = demo_catalog(size=300)
    history = demo_history(products, seed=7, until=datetime.now(UTC))
    items = ((p.item_id, p.title, p.category, p.brand, p.price, f"/p/{p.item_id}") for p in products)
    write(folder / "products.csv", "sku,name,category,brand,price,url", items)
    done = (
        (f"{e.event_ts:%Y-%m-%dT%H:%M:%SZ}", e.user_id, e.event, item.item_id)
        for e in history
        if e.event in KEPT
        for item in e.items
    )
    write(folder / "events.csv", "time,customer,event,sku", done)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
