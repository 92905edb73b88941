#!/usr/bin/env python3
"""Starts PyKMIP's server with an empty store, to try the conformance runner on a server that is not ours.

    python3.11 -m venv .venv && .venv/bin/pip install PyKMIP==0.10.0 'SQLAlchemy<2' 'cryptography<42'
    .venv/bin/python conformance/pykmip_server.py --dir /tmp/pykmip-run --port 15696

PyKMIP needs a Python before 3.12 (ssl.wrap_socket). The folder is emptied first; certificates come into its folder pki, named as
those of `krypton dev`. A line beginning with `ready` says that the server answers. End it with SIGTERM.
"""

import argparse
import datetime
import ipaddress
import logging
import os
import shutil

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kmip.services.server.server import KmipServer

DAY = datetime.timedelta(days=1)


def make_certificate(folder, name, issuer=None, usage=None):
    """Writes NAME.pem and NAME.key, signed by the issuer or by itself. P-256: of the suites PyKMIP admits, only those with ECDSA
    are authenticated encryption."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    now = datetime.datetime.utcnow()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    with open(os.path.join(folder, name + ".pem"), "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(os.path.join(folder, name + ".key"), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return subject, key


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()

    shutil.rmtree(arguments.dir, ignore_errors=True)
    pki = os.path.join(arguments.dir, "pki")
    policies = os.path.join(arguments.dir, "policies")
    os.makedirs(policies)
    os.makedirs(os.path.join(pki, "clients"))
    authority = make_certificate(pki, "ca")
    make_certificate(pki, "server", authority, ExtendedKeyUsageOID.SERVER_AUTH)
    make_certificate(os.path.join(pki, "clients"), "acme", authority, ExtendedKeyUsageOID.CLIENT_AUTH)

    server = KmipServer(
        hostname="127.0.0.1",
        port=arguments.port,
        certificate_path=os.path.join(pki, "server.pem"),
        key_path=os.path.join(pki, "server.key"),
        ca_path=os.path.join(pki, "ca.pem"),
        auth_suite="TLS1.2",
        config_path=None,
        log_path=os.path.join(arguments.dir, "server.log"),
        policy_path=policies,
        enable_tls_client_auth=True,
        logging_level=logging.INFO,
        database_path=os.path.join(arguments.dir, "pykmip.db"),
    )
    server.start()
    # PyKMIP listens only in serve(); listening twice does no harm, and so nobody is told too early.
    server._socket.listen(5)
    print("ready", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
