<?php
// Verify Kaimen's access tokens in PHP 8.1 or newer. Needs: composer require firebase/php-jwt
//
// usage: php verify.php JWKS_URL ISSUER AUDIENCE < tokens, one a line

declare(strict_types=1);

require __DIR__ . '/vendor/autoload.php';

use Firebase\JWT\JWK;
use Firebase\JWT\JWT;

const KEEP_S = 300; // as the Cache-Control header of the JWKS says

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
    public function verify(string $token): stdClass
    {
        JWT::$leeway = 30;
        $header = new stdClass();
        // Each key carries its algorithm, ES256: the token has no say in it.
        $claims = JWT::decode($token, JWK::parseKeySet($this->keys(), 'ES256'), $header);
        if (($header->typ ?? '') !== 'at+jwt') {
            throw new UnexpectedValueException('not an access token');
        }
        if (($claims->iss ?? '') !== $this->issuer || ($claims->aud ?? '') !== $this->audience) {
            throw new UnexpectedValueException('wrong issuer or audience');
        }
        if (!isset($claims->exp, $claims->iat, $claims->sub, $claims->sid)) {
            throw new UnexpectedValueException('a claim is missing');
        }
        return $claims;
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
        return json_decode(file_get_contents($this->cacheFile), true, flags: JSON_THROW_ON_ERROR);
    }
}

$verifier = new Verifier($argv[1], $argv[2], $argv[3], sys_get_temp_dir() . '/kaimen-jwks-' . md5($argv[1]) . '.json');
while (($line = fgets(STDIN)) !== false) {
    try {
        echo 'ok ', $verifier->verify(trim($line))->sub, "\n";
    } catch (Throwable $error) {
        echo 'refused ', $error::class, "\n";
    }
}
