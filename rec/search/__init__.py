"""Search that knows who asks: query → reading → BM25 and vectors → fusion → the shopper → list. Start at `finding`."""
