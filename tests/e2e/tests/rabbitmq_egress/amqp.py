"""An AMQP client that is not ours: logs in, sends itself a message through a queue of its own, and says what came back.

Reads its settings as JSON on standard input: host, port, username, password, and for TLS ca (PEM) and server_name.
"""
import json
import ssl
import sys

import pika

settings = json.load(sys.stdin)
options = None
if settings.get("ca"):
    context = ssl.create_default_context(cadata=settings["ca"])
    options = pika.SSLOptions(context, settings["server_name"])
parameters = pika.ConnectionParameters(
    host=settings["host"],
    port=settings["port"],
    ssl_options=options,
    credentials=pika.PlainCredentials(settings["username"], settings["password"]),
    socket_timeout=10,
    stack_timeout=20,
    blocked_connection_timeout=10,
)
try:
    connection = pika.BlockingConnection(parameters)
except (pika.exceptions.ProbableAuthenticationError, pika.exceptions.AuthenticationError):
    print("refused")
    sys.exit(3)
channel = connection.channel()
queue = channel.queue_declare("", exclusive=True).method.queue
channel.basic_publish("", queue, b"a message")
for method, _, body in channel.consume(queue, inactivity_timeout=10):
    if method is None:
        sys.exit("no message came back")
    print("received", body.decode(), "encrypted" if options else "in the clear")
    break
connection.close()
