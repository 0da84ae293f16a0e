"""Events out: the relay, the stream, webhooks."""
