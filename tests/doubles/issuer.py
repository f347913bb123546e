"""A token issuer on loopback with real, rotating keys that it publishes over HTTP, and arbitrary claims."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "ibid"


class Issuer:
    """Publishes its keys at `jwks_url`, counts the requests for them, and can simulate an outage.

    The defaults are those of Better Auth. `key_fields` are the fields of a JWK besides the key material.
    """

    def __init__(
        self,
        algorithm: str = "EdDSA",
        jwks_path: str = "/api/auth/jwks",
        key_fields: tuple[str, ...] = ("kid", "alg"),
    ) -> None:
        self.algorithm, self._key_fields = algorithm, key_fields
        self.fetches, self.reachable = 0, True
        self.reply: tuple[int, dict[str, str], bytes] | None = None
        """Status, headers and body of a response that replaces the JWKS."""
        self.others: list[dict[str, Any]] = []
        """JWKs that are published in addition to the signing keys."""
        self._keys: dict[str, Any] = {}
        self._names = (f"key-{number}" for number in count())
        self.rotate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                status, headers, body = issuer._answer(self.path == jwks_path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.jwks_url = f"{self.url}{jwks_path}"

    @property
    def kid(self) -> str:
        """The ID of the current signing key."""
        return list(self._keys)[-1]

    def settings(self) -> dict[str, Any]:
        """Return the settings of Ibid for this issuer."""
        return {
            "auth": "jwt",
            "auth_jwks_url": self.jwks_url,
            "auth_issuer": self.url,
            "auth_audience": AUDIENCE,
        }

    def rotate(self) -> None:
        """Sign with a new key from now on, and continue to publish the earlier ones."""
        self._keys[next(self._names)] = self._new_key()

    def withdraw(self) -> None:
        """Replace all keys by a new one."""
        self._keys = {next(self._names): self._new_key()}

    def published(self) -> list[dict[str, Any]]:
        """Return the public keys as a JWKS lists them."""
        return [
            self._algorithm().to_jwk(key.public_key(), as_dict=True) | self._fields(kid)
            for kid, key in self._keys.items()
        ]

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 900}
        changed = claims | {"sub": subject} | changes
        return {name: value for name, value in changed.items() if value is not None}

    def token(self, subject: str, **changes: Any) -> str:
        """Return a signed token; `changes` override claims, and a claim that is None is omitted."""
        return self.sign_token(self.claims(subject, **changes), {"kid": self.kid})

    def sign_token(self, claims: dict[str, Any], header: dict[str, Any]) -> str:
        """Return a token with these claims and this header, signed with the newest key."""
        return jwt.encode(claims, self._keys[self.kid], algorithm=self.algorithm, headers=header)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of arbitrary bytes by the newest key."""
        return self._algorithm().sign(message, self._keys[self.kid])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, is_there: bool) -> tuple[int, dict[str, str], bytes]:
        if self.reply is not None:
            return self.reply
        if not self.reachable:
            return 502, {}, b"bad gateway"
        if not is_there:
            return 404, {}, b"not found"
        return 200, {}, json.dumps({"keys": [*self.others, *self.published()]}).encode()

    def _fields(self, kid: str) -> dict[str, str]:
        told = {"kid": kid, "alg": self.algorithm, "use": "sig"}
        return {name: told[name] for name in self._key_fields}

    def _algorithm(self) -> Any:
        return jwt.get_algorithm_by_name(self.algorithm)

    def _new_key(self) -> Any:
        if self.algorithm == "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        if self.algorithm == "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
