"""The stream processors: log → **state → slate** → Redis, and log → archive.

Each agent is an `async for`, one call and one assignment; what it calls lives in `rec` or in a handler beside it.
"""
