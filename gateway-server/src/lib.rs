//! Krypton Gateway: the key factory beside the applications.
