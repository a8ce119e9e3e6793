"""A small OpenID Connect provider: authorization code flow with PKCE, as strict as a real one."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "greenmine", "a secret / with signs"


class OidcProvider:
    """Signs in whoever comes as the person of ``claims``.

    ``token`` are claims of the ID token that differ from what is right, ``header`` and ``key`` what it is signed with;
    ``answer`` what differs in the answer to the browser.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "u-1", "preferred_username": "Li Wei", "groups": ["hengjie"]}
        self.token: dict[str, Any] = {}
        self.answer: dict[str, str] = {}
        self.userinfo: dict[str, Any] | None = None
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.signer: Any = None
        self.header: dict[str, str] = {"alg": "RS256", "kid": "one"}
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self, urlsplit(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider._token(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _get(self, request: BaseHTTPRequestHandler, url: Any) -> None:
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "jwks_uri": f"{self.issuer}/jwks",
                "token_endpoint": f"{self.issuer}/token", "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256"],
            }  # fmt: skip
            _answer(request, 200, document)
        elif url.path == "/jwks":
            _answer(request, 200, KeySet([self.key]).as_dict(private=False))
        elif url.path == "/userinfo":
            _answer(request, 200, self.userinfo or {"sub": self.claims["sub"]})
        else:
            self.asked.append(query)
            code = secrets.token_urlsafe(8)
            self.codes[code] = query
            answer = {"code": code, "state": query["state"], "iss": self.issuer, "session_state": "x"} | self.answer
            request.send_response(302)
            request.send_header("Location", f"{query['redirect_uri']}?{urlencode(answer)}")
            request.end_headers()

    def _token(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        begun = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(
            b"="
        )
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        right = (
            begun is not None
            and form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == begun["redirect_uri"]
            and (begun["code_challenge"], begun["code_challenge_method"]) == (challenge.decode(), "S256")
            and request.headers["Authorization"] == f"Basic {basic}"
        )
        if begun is None or not right:
            _answer(request, 400, {"error": "invalid_grant"})
            return
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": begun["nonce"]}
        claims |= self.claims | self.token
        if self.header["alg"] == "none":
            signed = ".".join((*(_part(part) for part in (self.header, claims)), ""))
        else:
            signed = jwt.encode(self.header, claims, self.signer or self.key, algorithms=["RS256", "HS256"])
        _answer(request, 200, {"access_token": "at", "token_type": "Bearer", "id_token": signed})


def _part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _answer(request: BaseHTTPRequestHandler, status: int, document: Any) -> None:
    body = json.dumps(document).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
