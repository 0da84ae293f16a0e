"""Verify Kaimen's access tokens in Python. Needs: pip install "pyjwt[crypto]"

usage: python verify.py JWKS_URL ISSUER AUDIENCE < tokens, one a line
"""

import json
import sys
import time
import urllib.request

import jwt

KEEP_S = 300  # as the Cache-Control header of the JWKS says
RETRY_S = 10  # an unknown kid may fetch again, but a flood of them may not


class Verifier:
    """Keeps the public keys."""

    def __init__(self, jwks_url, issuer, audience):
        self.jwks_url, self.issuer, self.audience = jwks_url, issuer, audience
        self.keys, self.fetched_at = {}, float("-inf")

    def verify(self, token):
        """The claims; raises jwt.InvalidTokenError."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        return jwt.decode(
            token,
            self.key(header.get("kid")),
            algorithms=["ES256"],  # never what the token says
            issuer=self.issuer,
            audience=self.audience,
            leeway=30,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "sid"]},
        )

    def key(self, kid):
        """The public key of that id."""
        age = time.monotonic() - self.fetched_at
        if age > KEEP_S or (kid not in self.keys and age > RETRY_S):
            self.fetch()
        if kid not in self.keys:
            raise jwt.InvalidTokenError("unknown key")
        return self.keys[kid]

    def fetch(self):
        """Reads the JWKS."""
        try:
            with urllib.request.urlopen(self.jwks_url, timeout=3) as reply:
                found = jwt.PyJWKSet.from_dict(json.load(reply))
        except OSError:
            if not self.keys:
                raise
            # While Kaimen is away the keys at hand stay good; try again in a while.
            self.fetched_at = time.monotonic() - KEEP_S + RETRY_S
            return
        self.keys = {key.key_id: key for key in found.keys}
        self.fetched_at = time.monotonic()


if __name__ == "__main__":
    verifier = Verifier(*sys.argv[1:4])
    for line in sys.stdin:
        try:
            print("ok", verifier.verify(line.strip())["sub"])
        except jwt.InvalidTokenError as error:
            print("refused", type(error).__name__)
