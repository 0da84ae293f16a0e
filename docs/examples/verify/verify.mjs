// Verify Kaimen's access tokens in Node 18 or newer, with nothing to install.
//
// usage: node verify.mjs JWKS_URL ISSUER AUDIENCE < tokens, one a line

import { createPublicKey, verify } from "node:crypto";
import { createInterface } from "node:readline";

const KEEP_MS = 300_000; // as the Cache-Control header of the JWKS says
const RETRY_MS = 10_000; // an unknown kid may fetch again, but a flood of them may not
const LEEWAY_S = 30;

export class Verifier {
  #keys = new Map();
  #fetchedAt = -Infinity;

  constructor(jwksUrl, issuer, audience) {
    Object.assign(this, { jwksUrl, issuer, audience });
  }

  /** The claims; throws for a token that does not count. */
  async verify(token) {
    const match = /^([\w-]+)\.([\w-]+)\.([\w-]{86})$/.exec(token);
    if (!match) throw new Error("not a token");
    const [, head, body, signature] = match;
    const header = parse(head);
    // The algorithm is ours to say, never the token's.
    if (header.alg !== "ES256" || header.typ !== "at+jwt" || "crit" in header) throw new Error("not an access token");
    const key = { key: await this.#key(header.kid), dsaEncoding: "ieee-p1363" };
    if (!verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))) {
      throw new Error("wrong signature");
    }
    return this.#check(parse(body));
  }

  #check(claims) {
    const now = Date.now() / 1000;
    if (claims.iss !== this.issuer) throw new Error("wrong issuer");
    if (claims.aud !== this.audience) throw new Error("wrong audience");
    if (!(claims.exp > now - LEEWAY_S)) throw new Error("expired");
    if (!(claims.iat <= now + LEEWAY_S)) throw new Error("from the future");
    if (typeof claims.sub !== "string" || typeof claims.sid !== "string") throw new Error("no user");
    return claims;
  }

  async #key(kid) {
    const age = Date.now() - this.#fetchedAt;
    if (age > KEEP_MS || (!this.#keys.has(kid) && age > RETRY_MS)) await this.#fetch();
    const key = this.#keys.get(kid);
    if (!key) throw new Error("unknown key");
    return key;
  }

  async #fetch() {
    try {
      const reply = await fetch(this.jwksUrl, { signal: AbortSignal.timeout(3000) });
      if (!reply.ok) throw new Error(`JWKS: HTTP ${reply.status}`);
      const { keys } = await reply.json();
      this.#keys = new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: "jwk" })]));
      this.#fetchedAt = Date.now();
    } catch (error) {
      if (!this.#keys.size) throw error;
      // While Kaimen is away the keys at hand stay good; try again in a while.
      this.#fetchedAt = Date.now() - KEEP_MS + RETRY_MS;
    }
  }
}

function parse(part) {
  return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const verifier = new Verifier(...process.argv.slice(2, 5));
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      console.log("ok", (await verifier.verify(line.trim())).sub);
    } catch (error) {
      console.log("refused", error.message);
    }
  }
}
