"""Notices going out: what of the record is told to whom, as webhooks, e-mails, to robots of groups and at the broker."""
