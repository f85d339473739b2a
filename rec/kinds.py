"""Kinds of items that the code treats in a way of their own; a shop's other kinds are like products. Pure data."""

PRODUCT, ARTICLE, VIDEO, AD_KIND = "product", "article", "video", "ad"
