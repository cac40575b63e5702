"""Puts TaskFlow together: settings, the container that names the adapters, and what runs it.

The names stand in the modules, so that importing one does not load the others: `settings`, `embedded`
(for those who embed), `migrations`, `doctor`, `demo`, `serve`, `dev`.
"""

from taskflow_core.extras import require_server

require_server("msgspec", "sqlalchemy", "psycopg", "bcrypt", "jwt")
