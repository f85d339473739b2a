"""Shunxi: an event changes the list on the screen.

    client ─event→ web → log `behavior` ─→ state = fold(state, event)        rec.events, rec.state
                                           candidates → ranking → policy     rec.candidates, rec.ranking, rec.policy
                                           = recommend(...) → slate          rec.recommend, rec.slates
    client ←slate─ web ← Redis: latest + publish ←┘                          rec.protocol, rec.client

`rec` holds what the system *is* and imports neither `agents` (the stream processors) nor `web` (the edge).
"""

__version__ = "0.1.0"
