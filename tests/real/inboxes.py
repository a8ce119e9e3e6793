"""Receivers of alarms on the loopback interface: a webhook, robots of WeCom and DingTalk, and a mail server."""

from __future__ import annotations

import json
import threading
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller

from tests.ports import free_ports

ADDRESS = "duty@example.org"
VIEWER_PASSWORD = "a viewer of one enterprise"


class Inboxes:
    """Keeps everything that comes, by the kind of its receiver."""

    def __init__(self) -> None:
        inboxes = self
        self.web: dict[str, list[dict[str, Any]]] = {"webhook": [], "wecom": [], "dingtalk": []}
        self.mails: list[str] = []

        class Hooks(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inboxes.web[self.path.strip("/").partition("?")[0]].append(json.loads(body))
                answer = b'{"errcode": 0, "errmsg": "ok"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        class Mail:
            async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
                inboxes.mails.append(_text(message_from_bytes(envelope.content)))
                return "250 OK"

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
        (self.mail_port,) = free_ports(1)
        self._mail = Controller(Mail(), hostname="127.0.0.1", port=self.mail_port)

    def texts(self, kind: str) -> list[str]:
        """Words of all messages to a kind of receiver, the oldest first."""
        match kind:
            case "email":
                return list(self.mails)
            case "wecom":
                return [body["text"]["content"] for body in self.web["wecom"]]
            case "dingtalk":
                return [f"{body['link']['title']}\n{body['link']['text']}" for body in self.web["dingtalk"]]
            case _:
                return [f"{body['title']}\n{body['message']}" for body in self.web["webhook"]]

    def access_file(self, folder: Path) -> Path:
        """Users and contacts for `greenmine grafana provision`: every kind in the district, and a viewer of two enterprises."""
        hooks = f"http://127.0.0.1:{self._server.server_port}"
        contacts = [
            f'[[contacts]]\nid = "mail"\norganisation = "district"\nkind = "email"\naddresses = ["{ADDRESS}"]\n'
        ]
        contacts += [
            f'[[contacts]]\nid = "{kind}"\norganisation = "district"\nkind = "{kind}"\nurl = "{hooks}/{kind}"\n'
            for kind in self.web
        ]
        contacts[-1] += 'enterprises = ["wanzhou-xinan-cement", "kunyin", "jiuchi", "hengjie", "jianggao"]\n'
        users = [
            f'[[users]]\nid = "{key}"\nlogin = "{key}"\norganisation = "{key}"\npassword_file = "viewer-password"\n'
            for key in ("kunyin", "hengjie")
        ]
        (folder / "viewer-password").write_text(f"{VIEWER_PASSWORD}\n")
        path = folder / "access.toml"
        path.write_text("\n".join(contacts + users), "utf-8")
        return path

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._mail.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._mail.stop()


def _text(mail: Message) -> str:
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    bodies = [part.get_payload(decode=True).decode(part.get_content_charset() or "utf-8") for part in parts]
    return "\n".join([str(make_header(decode_header(mail["Subject"]))), *bodies])
