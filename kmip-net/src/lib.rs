//! KMIP transport: TLS, framing, identity, limits; the server shell and the client.
