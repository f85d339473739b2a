"""Invoice lines → products.csv and events.csv, for shops whose history is its invoices (UCI Online Retail, for one).

    python examples/from_invoices.py FOLDER FILE…

Reads the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID. A product's title is
its most frequent description, its price the most frequent one that is above 0. A purchase is a line with a customer and
a quantity above 0; cancellations and codes without digits (postage, fees) are left out.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path


def main(folder: Path, files: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    titles: defaultdict[str, Counter[str]] = defaultdict(Counter)
    prices: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as out:
        events = csv.writer(out)
        events.writerow(["event_ts", "user_id", "event", "item_id", "price", "quantity", "transaction_id"])
        for path in files:
            with path.open(newline="", encoding="utf-8") as lines:
                for line in csv.DictReader(lines):
                    code, title = line["StockCode"], " ".join(line["Description"].split())
                    if int(line["Quantity"]) <= 0 or not any(char.isdigit() for char in code):
                        continue
                    titles[code][title] += bool(title)
                    prices[code][line["UnitPrice"]] += float(line["UnitPrice"]) > 0
                    if customer := line["CustomerID"].removesuffix(".0"):
                        events.writerow(
                            [line["InvoiceDate"], customer, "purchase", code]
                            + [line[name] for name in ("UnitPrice", "Quantity", "InvoiceNo")]
                        )
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as out:
        products = csv.writer(out)
        products.writerow(["item_id", "title", "price"])
        for code, names in titles.items():
            (title, times), (price, _) = names.most_common(1)[0], prices[code].most_common(1)[0]
            if times:
                products.writerow([code, title, price])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
