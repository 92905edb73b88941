//! KMIP syntax: bytes to items and back (TTLV, XML, JSON).
