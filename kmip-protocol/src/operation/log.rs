//! Log (6.1.29 of KMIP 2.1): writes a message to the log of the server.

use bytestring::ByteString;

use crate::codec::structure;

structure! {
    /// Writes a message to the log of the server.
    pub struct LogRequest {
        /// The message.
        required log_message: ByteString = LOG_MESSAGE;
    }

    /// The answer to [`LogRequest`].
    pub struct LogResponse {}
}
