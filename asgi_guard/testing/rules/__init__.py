"""The rules of ASGI for middlewares, a file for each subject; `asgi_guard.testing.conformance` runs them."""
