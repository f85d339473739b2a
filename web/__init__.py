"""The edge: what clients talk to. HTTP, websocket and server-sent events in; the log, the exchange and SQL behind.

Nothing here scores or learns: a question about a user goes through the log to the worker that owns them.
"""
