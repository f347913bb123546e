"""An issuer of tokens on loopback, as Better Auth is one: keys that rotate, claims as asked for."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

AUDIENCE = "ibid"


class Issuer:
    """Publishes its keys at `jwks_url`, counts who fetches them, and can be cut off."""

    def __init__(self) -> None:
        self.fetches, self.reachable = 0, True
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._names = (f"key-{number}" for number in count())
        self.rotate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                body = json.dumps({"keys": issuer.published()}).encode()
                self.send_response(200 if issuer.reachable else 502)
                self.end_headers()
                self.wfile.write(body if issuer.reachable else b"bad gateway")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.jwks_url = f"{self.url}/api/auth/jwks"

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
            "auth_algorithms": "EdDSA",
        }

    def rotate(self) -> None:
        self._keys[next(self._names)] = Ed25519PrivateKey.generate()

    def withdraw(self) -> None:
        """Publish, and sign with, nothing but a new key."""
        self._keys = {next(self._names): Ed25519PrivateKey.generate()}

    def published(self) -> list[dict[str, Any]]:
        """As Better Auth does it, without `use`."""
        return [
            json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "alg": "EdDSA"}
            for kid, key in self._keys.items()
        ]

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 900}
        changed = claims | {"sub": subject} | changes
        return {name: value for name, value in changed.items() if value is not None}

    def token(self, subject: str, **changes: Any) -> str:
        """Signed by the newest key; a claim that is None is left out."""
        key = self._keys[self.kid]
        claims = self.claims(subject, **changes)
        return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": self.kid})

    def sign(self, message: bytes) -> bytes:
        """With the newest key, whatever it says."""
        return self._keys[self.kid].sign(message)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
