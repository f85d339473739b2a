"""Alembic's migrations, packaged so that an installed wheel can run them (`rec.store.sql.migrate`)."""
