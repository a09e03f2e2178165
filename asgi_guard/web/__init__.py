"""What browsers go by, as pure code: origins, content policies, cookies. It knows no HTTP and no ASGI."""
