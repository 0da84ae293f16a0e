// Verify Kaimen's access tokens in Go, with the standard library alone.
//
// usage: go run verify.go JWKS_URL ISSUER AUDIENCE < tokens, one a line
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	keep   = 300 * time.Second // as the Cache-Control header of the JWKS says
	retry  = 10 * time.Second  // an unknown kid may fetch again, but a flood of them may not
	leeway = 30
)

// Claims of an access token.
type Claims struct {
	Iss, Aud, Sub, Sid string
	Appid              string
	Roles              []string
	Exp, Iat           int64
}

// Verifier keeps the public keys; safe for concurrent use.
type Verifier struct {
	JwksURL, Issuer, Audience string

	mutex     sync.Mutex
	keys      map[string]*ecdsa.PublicKey
	fetchedAt time.Time
}

// Verify returns the claims of a token that counts.
func (v *Verifier) Verify(token string) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a token")
	}
	var header struct {
		Alg, Kid, Typ string
		Crit          []string
	}
	if err := decode(parts[0], &header); err != nil {
		return nil, err
	}
	// The algorithm is ours to say, never the token's.
	if header.Alg != "ES256" || header.Typ != "at+jwt" || header.Crit != nil {
		return nil, errors.New("not an access token")
	}
	key, err := v.key(header.Kid)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("wrong signature")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("wrong signature")
	}
	var claims Claims
	if err := decode(parts[1], &claims); err != nil {
		return nil, err
	}
	return v.check(&claims)
}

func (v *Verifier) check(claims *Claims) (*Claims, error) {
	now := time.Now().Unix()
	switch {
	case claims.Iss != v.Issuer:
		return nil, errors.New("wrong issuer")
	case claims.Aud != v.Audience:
		return nil, errors.New("wrong audience")
	case claims.Exp <= now-leeway:
		return nil, errors.New("expired")
	case claims.Iat == 0 || claims.Iat > now+leeway:
		return nil, errors.New("from the future")
	case claims.Sub == "" || claims.Sid == "":
		return nil, errors.New("no user")
	}
	return claims, nil
}

func (v *Verifier) key(kid string) (*ecdsa.PublicKey, error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	age := time.Since(v.fetchedAt)
	if age > keep || (v.keys[kid] == nil && age > retry) {
		if err := v.fetch(); err != nil {
			if v.keys == nil {
				return nil, err
			}
			// While Kaimen is away the keys at hand stay good; try again in a while.
			v.fetchedAt = time.Now().Add(retry - keep)
		}
	}
	if v.keys[kid] == nil {
		return nil, errors.New("unknown key")
	}
	return v.keys[kid], nil
}

func (v *Verifier) fetch() error {
	client := http.Client{Timeout: 3 * time.Second}
	reply, err := client.Get(v.JwksURL)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Y string }
	}
	if err := json.NewDecoder(reply.Body).Decode(&set); err != nil || reply.StatusCode != 200 {
		return fmt.Errorf("JWKS: HTTP %d", reply.StatusCode)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, jwk := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(jwk.X)
		y, errY := base64.RawURLEncoding.DecodeString(jwk.Y)
		if jwk.Kty == "EC" && jwk.Crv == "P-256" && errX == nil && errY == nil {
			point := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
			keys[jwk.Kid] = point
		}
	}
	v.keys, v.fetchedAt = keys, time.Now()
	return nil
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func main() {
	verifier := &Verifier{JwksURL: os.Args[1], Issuer: os.Args[2], Audience: os.Args[3]}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 64*1024), 1024*1024)
	for lines.Scan() {
		claims, err := verifier.Verify(strings.TrimSpace(lines.Text()))
		if err != nil {
			fmt.Println("refused", err)
			continue
		}
		fmt.Println("ok", claims.Sub)
	}
}
