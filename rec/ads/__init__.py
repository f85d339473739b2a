"""Ads: what is sponsored on a list, what a click costs, and who pays until when. See docs/ads.md."""
