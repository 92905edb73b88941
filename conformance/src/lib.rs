//! Black-box conformance: OASIS cases over the wire against any KMIP server.
