"""Runs migrations on the connection that `greenmine.record.record.migrate` hands over."""

from alembic import context

from greenmine.api.accounts.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
