"""An SMTP server (aiosmtpd) for the tests. It prints its port, then each message that it takes as a line of JSON.

Usage: smtp_server.py SECURITY MECHANISMS [CERT KEY]
SECURITY is none, starttls or tls; MECHANISMS are the ways to sign in, such as PLAIN,LOGIN, or "-" for none.
Recipients that begin with "refused" get 550, those that begin with "later" get 450.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "450 4.2.0 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(
            json.dumps(
                {
                    "hello": session.host_name,
                    "encrypted": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
                    "user": session.auth_data.login.decode() if session.auth_data else None,
                    "mechanism": getattr(session, "mechanism", None),
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "content": envelope.content.decode(),
                }
            ),
            flush=True,
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    if (data.login, data.password) != (b"wheeltapper", b"correct horse"):
        return AuthResult(success=False)
    session.mechanism = mechanism
    return AuthResult(success=True, auth_data=data)


async def main():
    security, mechanisms, *files = sys.argv[1:]
    context = None
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    offered = mechanisms.split(",")

    def connection():
        return SMTP(
            Handler(),
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=authenticate,
            auth_required=mechanisms != "-",
            # With TLS from the beginning, aiosmtpd does not notice the encryption.
            auth_require_tls=security == "starttls",
            auth_exclude_mechanism=[name for name in ("PLAIN", "LOGIN") if name not in offered],
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        connection, "127.0.0.1", 0, ssl=context if security == "tls" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
