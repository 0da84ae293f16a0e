-- A user's own tokens at WeChat (OAuth 2.0, not the app's access_token): one sealed JSON, gone with the identity.
ALTER TABLE identities ADD COLUMN oauth_tokens TEXT;
