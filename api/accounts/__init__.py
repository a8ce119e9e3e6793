"""Accounts: users, their sessions and tokens, what is public, and the audit log. In a file of its own beside the record."""
