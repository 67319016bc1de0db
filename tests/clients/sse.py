"""Receives Server-Sent Events with httpx-sse and prints one JSON line per event.

Usage: python sse.py URL COUNT [LAST_EVENT_ID]. The environment variable TOKEN sets a bearer token.
"""

import json
import os
import sys

import httpx
from httpx_sse import connect_sse

url, count = sys.argv[1], int(sys.argv[2])
headers = {}
if len(sys.argv) > 3:
    headers["Last-Event-ID"] = sys.argv[3]
if token := os.environ.get("TOKEN"):
    headers["Authorization"] = f"Bearer {token}"
with httpx.Client(timeout=60) as client, connect_sse(client, "GET", url, headers=headers) as source:
    source.response.raise_for_status()
    print(json.dumps({"open": source.response.headers["content-type"]}), flush=True)
    for event in source.iter_sse():
        if event.data:
            print(json.dumps({"event": event.event, "id": event.id, "data": json.loads(event.data)}), flush=True)
            count -= 1
        if count == 0:
            break
