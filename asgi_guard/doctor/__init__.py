"""The doctor: what an application and its server cannot protect from, and what to do about it (`asgi-guard doctor`).

| file                 | what it does                                                            |
|----------------------|-------------------------------------------------------------------------|
| `doctor.py`          | makes every check, with the application's lifespan on                   |
| `ask.py`             | calls the application in process, as a server would                     |
| `quiet.py`           | mutes what is logged about it                                           |
| `chain.py`           | what stands in front of the routes                                      |
| `examination.py`     | what is known before the checks                                         |
| `checks_settings.py` | DR001 to DR014: what the guard was told                                 |
| `checks_stores.py`   | DR011, DR015: the stores over a network                                 |
| `checks_page.py`     | HTTPS, security headers, cookies                                        |
| `checks_access.py`   | other sites, other hosts, strangers                                     |
| `checks_limits.py`   | sizes, rates, and what errors tell                                      |
| `checks_server.py`   | DR201 to DR207: the server                                              |
| `servers.py`         | what each server does, as it was seen                                   |
| `observatory*.py`    | the score by the published rules of MDN's HTTP Observatory              |
| `finding.py`         | findings, their severity, and every check by its id                     |
| `report.py`          | the report, as text and as JSON                                         |

Must never send anything over a network but a question to the stores that the application counts in, nor be imported by
what serves.
"""

from __future__ import annotations
