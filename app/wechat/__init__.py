"""WeChat from the server's side: pure wire formats, the HTTP client, the shared access_token."""
