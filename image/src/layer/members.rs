//! The entry loop.

/// When reading a tar is given up, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of file contents together, holes included.
    pub bytes: u64,
    /// Members, files and others.
    pub entries: u64,
}

impl Default for Limits {
    /// 1 TiB in 16 million members: more than images have, and few enough to end some day.
    fn default() -> Self {
        Self { bytes: 1 << 40, entries: 16 << 20 }
    }
}
