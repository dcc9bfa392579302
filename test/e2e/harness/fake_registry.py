# SPDX-License-Identifier: Apache-2.0
"""A registry that can be told to misbehave. It serves an OCI layout made by hack/images/oci.py."""

import base64
import http.server
import json
import os
import re
import socket
import struct
import threading

from oci import INDEX, MANIFEST, Layout, Tree, encode


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    form = ""  # what was posted

    def log_message(self, *arguments):
        pass

    def send(self, code, body=b"", length=None, **headers):
        """Answers; with a length that is more than the body's the connection ends early."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if length is not None and length != len(body):
            self.cut()

    def send_errors(self, code, word, message, **headers):
        body = json.dumps({"errors": [{"code": word, "message": message}]}).encode()
        self.send(code, body, Content_Type="application/json", **headers)

    def cut(self):
        """Ends the connection by a reset."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def do_GET(self):
        try:
            self.server.registry.answer(self)
        except (BrokenPipeError, ConnectionResetError, ValueError):
            self.close_connection = True

    do_HEAD = do_GET

    def do_POST(self):
        self.form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.do_GET()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that speaks TLS first, or goes


class FakeRegistry:
    """Context manager. fault(handler) is asked first; true means that it has answered."""

    def __init__(self, directory):
        self.layout = Layout(os.path.join(directory, "registry"))
        self.fault = None
        self.requests = []
        self._tags = {}
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.registry = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def publish(self, name, descriptor):
        """Makes a manifest's descriptor known under a tag; the reference to pull it by."""
        self._tags[name] = descriptor
        return f"{self.host}/test/{name}:latest"

    def image(self, name, *layers, config=None, base=None):
        """Publishes an image of tars (bytes) upon base layers."""
        stored = list(base or []) + [self.layout.layer(tar) for tar in layers]
        return self.publish(name, self.layout.image(stored, config))

    def index(self, name, *manifests):
        """Publishes an index of (descriptor of a manifest, platform)."""
        document = {"schemaVersion": 2, "mediaType": INDEX,
                    "manifests": [dict(manifest, platform=platform)
                                  for manifest, platform in manifests]}
        return self.publish(name, self.layout.blob(encode(document), INDEX))

    def small(self, name):
        return self.image(name, Tree().file("hello", name).done())

    def _path(self, digest):
        return os.path.join(self.layout.path, "blobs/sha256", digest[7:])

    def blob(self, digest):
        with open(self._path(digest), "rb") as f:
            return f.read()

    def answer(self, handler):
        self.requests.append((handler.command, handler.path, handler.headers.get("Authorization")))
        if self.fault and self.fault(handler):
            return
        if handler.path.rstrip("/") == "/v2":
            handler.send(200, b"{}")
            return
        match = re.match(r"/v2/test/([^/]+)/(manifests|blobs)/([^?\s]+)(\?\S*)?$", handler.path)
        digest = match and match[3]
        if match and match[2] == "manifests" and match[1] in self._tags:
            named = self._tags[match[1]]
            if digest == "latest":
                digest = named["digest"]
            body = self.blob(digest)
            # By its own digest comes what an index points to.
            kind = named["mediaType"] if digest == named["digest"] else MANIFEST
            handler.send(200, body, Content_Type=kind, Docker_Content_Digest=digest)
        elif match and match[2] == "blobs" and os.path.exists(self._path(digest)):
            handler.send(200, self.blob(digest), Content_Type="application/octet-stream")
        else:
            handler.send_errors(404, "MANIFEST_UNKNOWN", "no such manifest")


def is_blob(handler):
    return "/blobs/" in handler.path


def is_manifest(handler):
    return "/manifests/" in handler.path


def status_fault(code, word="DENIED", message="the registry's own words", when=is_manifest,
                 **headers):
    """A fault that answers requests of one kind with a status code."""
    def fault(handler):
        if when(handler):
            handler.send_errors(code, word, message, **headers)
            return True
        return False
    return fault


def silence_fault(when, seconds):
    """A fault that leaves requests of one kind without an answer for longer than the caller waits;
    it ends when the caller goes or the time is over."""
    def fault(handler):
        if not when(handler):
            return False
        handler.connection.settimeout(seconds)
        try:
            handler.connection.recv(1)
        except OSError:
            pass
        handler.cut()
        return True
    return fault


def token_fault(registry, token="let-me-in", user=None, refresh=None):
    """Asks for a bearer token, and hands it out at /token (to the user:password, if given, and for
    the posted refresh token, if given)."""
    def known(handler):
        if handler.command == "POST":
            return refresh and f"&refresh_token={refresh}" in handler.form
        basic = "Basic " + base64.b64encode((user or "").encode()).decode()
        return not user or handler.headers.get("Authorization") == basic

    def fault(handler):
        if handler.path.startswith("/token"):
            if not known(handler):
                handler.send_errors(401, "UNAUTHORIZED", "who are you")
            else:
                handler.send(200, json.dumps({"token": token, "expires_in": 300}).encode(),
                             Content_Type="application/json")
            return True
        if handler.headers.get("Authorization") == "Bearer " + token:
            return False
        challenge = (f'Bearer realm="http://{registry.host}/token",service="fake",'
                     f'scope="repository:test/x:pull"')
        handler.send_errors(401, "UNAUTHORIZED", "a token is needed", WWW_Authenticate=challenge)
        return True
    return fault


__all__ = ["FakeRegistry", "MANIFEST", "is_blob", "is_manifest", "status_fault", "token_fault"]
