"""Backends of `rec.ports`: which one a URL selects. Drivers are imported only when they are chosen."""
