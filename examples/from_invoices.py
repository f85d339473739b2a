"""Invoice lines → products.csv and events.csv, for shops whose history is its invoices (UCI Online Retail, for one).

    python examples/from_invoices.py [--until-now] FOLDER FILE…

Reads the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID. A product's title is
its most frequent description, its price the most frequent one that is above 0. A purchase is a line with a customer and
a quantity above 0; cancellations and codes without digits (postage, fees) are left out. `--until-now` moves all times:
the last line is then of now.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path


def lines_of(files: list[Path]) -> list[dict[str, str]]:
    """The lines that are of a product and of a sale."""
    lines: list[dict[str, str]] = []
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            lines += (
                line
                for line in csv.DictReader(file)
                if int(line["Quantity"]) > 0 and any(char.isdigit() for char in line["StockCode"])
            )
    return lines


def write(path: Path, head: list[str], rows: Iterable[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([head, *rows])


def main(folder: Path, files: list[Path], until_now: bool) -> None:
    lines = lines_of(files)
    titles: defaultdict[str, Counter[str]] = defaultdict(Counter)
    prices: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        if title := " ".join(line["Description"].split()):
            titles[line["StockCode"]][title] += 1
        if float(line["UnitPrice"]) > 0:
            prices[line["StockCode"]][line["UnitPrice"]] += 1
    last = max(datetime.fromisoformat(line["InvoiceDate"]) for line in lines)
    moved = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - last if until_now else timedelta(0)

    def most(counts: Counter[str]) -> str:
        return counts.most_common(1)[0][0] if counts else ""

    folder.mkdir(parents=True, exist_ok=True)
    products = ([code, most(names), most(prices[code])] for code, names in titles.items())
    write(folder / "products.csv", ["item_id", "title", "price"], products)
    events = (
        [
            (datetime.fromisoformat(line["InvoiceDate"]) + moved).isoformat(),
            line["CustomerID"].removesuffix(".0"),
            "purchase",
            *(line[name] for name in ("StockCode", "UnitPrice", "Quantity", "InvoiceNo")),
        ]
        for line in lines
        if line["CustomerID"]
    )
    head = ["event_ts", "user_id", "event", "item_id", "price", "quantity", "transaction_id"]
    write(folder / "events.csv", head, events)


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if word != "--until-now"]
    main(Path(given[0]), [Path(name) for name in given[1:]], "--until-now" in sys.argv)
