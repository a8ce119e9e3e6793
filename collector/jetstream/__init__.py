"""Messages of a log: NATS JetStream, its streams, and the intake that reads them by position."""
