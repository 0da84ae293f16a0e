<?php
// Verify Kaimen's access tokens in PHP 8.1 or newer, with its openssl extension and nothing else.
//
// usage: php verify.php JWKS_URL ISSUER AUDIENCE < tokens, one a line

declare(strict_types=1);

const KEEP_S = 300; // as the Cache-Control header of the JWKS says
const LEEWAY_S = 30;
const P256 = '3059301306072a8648ce3d020106082a8648ce3d030107034200'; // what a P-256 key begins with (RFC 5480)

final class Verifier
{
    public function __construct(
        private string $jwksUrl,
        private string $issuer,
        private string $audience,
        private string $cacheFile,
    ) {
    }

    /** The claims; throws for a token that does not count. */
    public function verify(string $token): array
    {
        if (!preg_match('/^([\w-]+)\.([\w-]+)\.([\w-]{86})$/D', $token, $parts)) {
            throw new UnexpectedValueException('not a token');
        }
        [, $header, $payload, $signature] = $parts;
        $says = self::json($header);
        // The token has no say in how it is verified: one algorithm, and keys of ours only.
        if (($says['alg'] ?? '') !== 'ES256' || ($says['typ'] ?? '') !== 'at+jwt' || isset($says['crit'])) {
            throw new UnexpectedValueException('not an access token');
        }
        $key = $this->key($says['kid'] ?? '');
        $der = self::der(self::bytes($signature));
        if (openssl_verify("$header.$payload", $der, $key, OPENSSL_ALGO_SHA256) !== 1) {
            throw new UnexpectedValueException('forged');
        }
        return $this->checked(self::json($payload));
    }

    private function checked(array $claims): array
    {
        foreach (['iss', 'aud', 'sub', 'sid', 'exp', 'iat'] as $name) {
            if (!isset($claims[$name])) {
                throw new UnexpectedValueException("no $name");
            }
        }
        if ($claims['iss'] !== $this->issuer || $claims['aud'] !== $this->audience) {
            throw new UnexpectedValueException('wrong issuer or audience');
        }
        $now = time();
        if ($claims['exp'] <= $now - LEEWAY_S || $claims['iat'] > $now + LEEWAY_S) {
            throw new UnexpectedValueException('not now');
        }
        return $claims;
    }

    private function key(mixed $kid): OpenSSLAsymmetricKey
    {
        foreach ($this->keys() as $jwk) {
            if ($jwk['kid'] === $kid && $jwk['alg'] === 'ES256') {
                $point = "\x04" . self::bytes($jwk['x']) . self::bytes($jwk['y']);
                $pem = chunk_split(base64_encode(hex2bin(P256) . $point), 64, "\n");
                return openssl_pkey_get_public("-----BEGIN PUBLIC KEY-----\n$pem-----END PUBLIC KEY-----\n");
            }
        }
        throw new UnexpectedValueException('unknown key');
    }

    /** PHP forgets everything after a request, so the keys are kept in a file (or APCu). */
    private function keys(): array
    {
        $age = is_file($this->cacheFile) ? time() - filemtime($this->cacheFile) : PHP_INT_MAX;
        if ($age > KEEP_S) {
            $context = stream_context_create(['http' => ['timeout' => 3]]);
            $fresh = @file_get_contents($this->jwksUrl, false, $context);
            if ($fresh !== false) {
                file_put_contents($this->cacheFile, $fresh, LOCK_EX);
            }
        }
        // While Kaimen is away, those at hand stay good.
        return json_decode(file_get_contents($this->cacheFile), true, flags: JSON_THROW_ON_ERROR)['keys'];
    }

    /** A JWS signature (r and s, 32 bytes each) as openssl wants it (RFC 3279 §2.2.3). */
    private static function der(string $raw): string
    {
        $integers = '';
        foreach (str_split($raw, 32) as $part) {
            $part = ltrim($part, "\0");
            $part = $part === '' || ord($part[0]) > 127 ? "\0$part" : $part;
            $integers .= "\x02" . chr(strlen($part)) . $part;
        }
        return "\x30" . chr(strlen($integers)) . $integers;
    }

    private static function bytes(string $encoded): string
    {
        return base64_decode(strtr($encoded, '-_', '+/'), true);
    }

    private static function json(string $encoded): array
    {
        $found = json_decode(self::bytes($encoded), true, 8, JSON_THROW_ON_ERROR);
        return is_array($found) ? $found : throw new UnexpectedValueException('not an object');
    }
}

$verifier = new Verifier($argv[1], $argv[2], $argv[3], sys_get_temp_dir() . '/kaimen-jwks-' . md5($argv[1]) . '.json');
while (($line = fgets(STDIN)) !== false) {
    try {
        echo 'ok ' . $verifier->verify(trim($line))['sub'] . "\n";
    } catch (Throwable $error) {
        echo 'refused ', $error->getMessage(), "\n";
    }
}
