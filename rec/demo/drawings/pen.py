"""A pen for pictograms on a field of 200 × 200: short calls give SVG elements whose paint is still a slot.

Paints: a the product's color, d darker, l lighter, x an accent, k ink, w white, m metal, o wood, n dark wood,
g leaf, h dark leaf, r ripe red, y light, c coffee, s sky, f fur, b the background. `rec.demo.pictures` fills the slots.
"""

from __future__ import annotations


def path(d: str, paint: str) -> str:
    """A filled shape."""
    return f'<path d="{d}" fill="{{{paint}}}"/>'


def line(d: str, paint: str, width: float) -> str:
    """A stroke with round ends."""
    return f'<path d="{d}" stroke="{{{paint}}}" stroke-width="{width}" {_ROUND}/>'


def box(x: float, y: float, width: float, height: float, radius: float, paint: str) -> str:
    """A rectangle with rounded corners."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{{{paint}}}"/>'


def disc(x: float, y: float, radius: float, paint: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{{{paint}}}"/>'


def ring(x: float, y: float, radius: float, paint: str, width: float) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" stroke="{{{paint}}}" stroke-width="{width}" fill="none"/>'


def oval(x: float, y: float, rx: float, ry: float, paint: str) -> str:
    return f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{{{paint}}}"/>'


def turned(degrees: float, *parts: str, x: float = 100, y: float = 100) -> str:
    """The parts, turned clockwise around a point."""
    return f'<g transform="rotate({degrees} {x} {y})">{"".join(parts)}</g>'


def faint(opacity: float, *parts: str) -> str:
    return f'<g opacity="{opacity}">{"".join(parts)}</g>'


_ROUND = 'fill="none" stroke-linecap="round" stroke-linejoin="round"'
