"""Config: the settings of a guard from a mapping, a TOML file or the environment.

The names are those of the code everywhere: a part is a keyword of `Guard`, its fields are those of its settings.

| code                                | TOML                                  | environment                        |
|-------------------------------------|---------------------------------------|------------------------------------|
| `https=False`                       | `https = false`                       | `HTTPS=false`                      |
| `rate_limit="5/second"`             | `rate_limit = "5/second"`             | `RATE_LIMIT=5/second`              |
| `cors=["https://a.example"]`        | `cors = ["https://a.example"]`        | `CORS=https://a.example`           |
| `request_limits=RequestLimits(...)` | `request_limits.max_headers = 9`      | `REQUEST_LIMITS__MAX_HEADERS=9`    |
| `RequestLimits(max_headers=None)`   | `request_limits.max_headers = "none"` | `REQUEST_LIMITS__MAX_HEADERS=none` |
| `rate_limit=[RateLimit(...), ...]`  | `[[rate_limit]]` for each             | `RATE_LIMIT=[{...}, ...]`          |

The names of the environment have `ASGI_GUARD_` before them. `part` is a place in the standard stack, and the forms in
which it may be given; `kinds` knows what a field takes, by its annotation; `reader` makes settings of tables; `sources`
reads the mapping, the file and the environment. None of them knows a part by name: `asgi_guard.guard` hands in its
table, and a part that is added there can be configured at once.
"""
