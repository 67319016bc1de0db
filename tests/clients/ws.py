"""Receives WebSocket messages and prints one JSON line per message.

Usage: python ws.py URL COUNT. The environment variable TOKEN sets a bearer token.
"""

import json
import os
import sys

from websockets.sync.client import connect

url, count = sys.argv[1], int(sys.argv[2])
token = os.environ.get("TOKEN")
headers = {"Authorization": f"Bearer {token}"} if token else {}
with connect(url, additional_headers=headers) as socket:
    print(json.dumps({"open": True}), flush=True)
    for _ in range(count):
        print(json.dumps(json.loads(socket.recv(timeout=60))), flush=True)
