"""A world to try the loop in: a generated catalog, drawn pictures, and shoppers whose interests drift.

Beside the loop, not in it: nothing that serves imports this package, except where `Settings.demo` asks for it.
"""
