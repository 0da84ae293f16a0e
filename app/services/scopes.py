"""What a service may be let in for."""

SCOPES = ("introspect", "users:read", "users:write", "access-token")
