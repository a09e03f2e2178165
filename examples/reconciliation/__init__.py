"""A small service that reconciles two files of transactions, with everything of asgi_guard around it; see README.md."""
