"""What an operator sees: logs, later metrics and traces."""
