"""An issuer of tokens on loopback: real keys that rotate, published over HTTP, and claims as asked for."""

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
    """Publishes its keys at `jwks_url`, counts who fetches them, and can be cut off.

    By default it is as Better Auth is one. `key_fields` is what its keys say beside their material.
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
        """What is answered instead of the keys."""
        self.others: list[dict[str, Any]] = []
        """What is published beside the keys that sign."""
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
        """The key that signs just now."""
        return list(self._keys)[-1]

    def settings(self) -> dict[str, Any]:
        """What Ibid has to be told."""
        return {
            "auth": "jwt",
            "auth_jwks_url": self.jwks_url,
            "auth_issuer": self.url,
            "auth_audience": AUDIENCE,
        }

    def rotate(self) -> None:
        """Sign with another key from now on, and go on to publish those before it."""
        self._keys[next(self._names)] = self._new_key()

    def withdraw(self) -> None:
        """Publish, and sign with, nothing but a new key."""
        self._keys = {next(self._names): self._new_key()}

    def published(self) -> list[dict[str, Any]]:
        """As a JWKS lists them."""
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
        """A claim that is None is left out."""
        return self.signed(self.claims(subject, **changes), {"kid": self.kid})

    def signed(self, claims: dict[str, Any], header: dict[str, Any]) -> str:
        """Signed by the newest key."""
        return jwt.encode(claims, self._keys[self.kid], algorithm=self.algorithm, headers=header)

    def sign(self, message: bytes) -> bytes:
        """With the newest key, whatever it says."""
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
