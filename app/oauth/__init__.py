"""WeChat in browsers: OAuth 2.0 sign-in, the tokens it brings, and the JS-SDK."""
