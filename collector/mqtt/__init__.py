"""Messages of the broker: the session, its subscription, and accounts."""
