"""Raw ASGI is spoken here and nowhere else.

The engine knows every rule of the protocol, so that no layer touches `send` or `receive`. Read in this order:
`types`, `headers`, `layer` (what a protection may do), `exchange` (one request), `replies`, `fuse` (the middleware).
"""
