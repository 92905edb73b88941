//! KMIP language: items to typed messages, one model for versions 1.0 to 2.1.
