//! How much a peer may ask of the codec. Judged before anything is allocated.

/// Bounds on one message. Each has a named default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a whole message, its header included; in the XML and JSON forms, of the text as well.
    pub message_bytes: usize,
    /// Bytes of one value that is not a structure.
    pub value_bytes: usize,
    /// Structures within each other, the message itself counted. Reading recurses this deep: keep it below a thousand.
    pub depth: usize,
    /// Items in a message, structures counted.
    pub items: usize,
}

impl Limits {
    /// The default of [`Limits::message_bytes`]: 1 MiB.
    pub const DEFAULT_MESSAGE_BYTES: usize = 1024 * 1024;
    /// The default of [`Limits::value_bytes`]: 1 MiB.
    pub const DEFAULT_VALUE_BYTES: usize = 1024 * 1024;
    /// The default of [`Limits::depth`].
    pub const DEFAULT_DEPTH: usize = 32;
    /// The default of [`Limits::items`].
    pub const DEFAULT_ITEMS: usize = 16_384;

    /// The defaults, for constants.
    pub const DEFAULT: Self = Self {
        message_bytes: Self::DEFAULT_MESSAGE_BYTES,
        value_bytes: Self::DEFAULT_VALUE_BYTES,
        depth: Self::DEFAULT_DEPTH,
        items: Self::DEFAULT_ITEMS,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
