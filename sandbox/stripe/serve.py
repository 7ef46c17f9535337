#!/usr/bin/env python3
"""serve.py ADDRESS CERTIFICATE KEY: stands in for api.stripe.com.

Answers every request over HTTPS as Stripe answers one without an API key: status 401, an error object in JSON, and a
request id. A request with a key gets the answer to a wrong key. Logs one line a request.
"""
import http.server
import json
import secrets
import socket
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    sys_version = ""
    timeout = 30

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        error = {"type": "invalid_request_error"}
        key = (self.headers.get("Authorization") or "").rpartition(" ")[2]
        if key:
            error["message"] = "Invalid API Key provided: " + key[:3] + "*" * 9
        else:
            error["message"] = (
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
        body = json.dumps({"error": error}, indent=2).encode() + b"\n"
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", "req_" + secrets.token_hex(7))
        self.send_header("WWW-Authenticate", 'Basic realm="Stripe"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread, or a silent client would hold up all others.
        request.settimeout(10)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except (OSError, ssl.SSLError) as error:
            print(f"{client_address[0]} {error}", file=sys.stderr, flush=True)

    def shutdown_request(self, request):
        try:
            request.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        request.close()


def main():
    address, certificate, key = sys.argv[1:4]
    server = Server((address, 443), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificate, key)
    server.serve_forever()


main()
