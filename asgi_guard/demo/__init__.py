"""Demo: the same requests to the same application, once plain and once guarded, over real sockets.

`app` is the application, `server` runs it, `client` asks it, `rows` says which requests and what has to come back,
`report` prints both sides. `run` puts them together for `asgi-guard demo`.
Must never listen on anything but a loopback address, and must never claim what it has not observed.
"""
