//! Why a request that was chosen gave no pair.

/// Why a request that was chosen gave no pair. The words reach metrics, the database and the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// As many copies wait as may (`limits.queue`).
    Queue,
    /// There were as many copies in this second as may be (`sample.maxPerSecond`).
    Rate,
    /// The request or its live answer is too large to be held.
    Size,
    /// All memory for copies is in use.
    Memory,
    /// Copying would act on a server, or nobody knows what it would do.
    Unfit,
    /// No worker of the candidate has been ready yet: it is being waited for, which proves nothing.
    NotReady,
    /// Another version than the one that is compared gave the live answer.
    Version,
    /// The user left before the end.
    Abandoned,
    /// The live answer failed, and no metric of the comparison can say anything of that.
    Unscored,
    /// The database is not there.
    Database,
    /// The comparison ended while the copy waited.
    Stopped,
}

impl Drop {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Queue,
        Self::Rate,
        Self::Size,
        Self::Memory,
        Self::Unfit,
        Self::NotReady,
        Self::Version,
        Self::Abandoned,
        Self::Unscored,
        Self::Database,
        Self::Stopped,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Rate => "rate",
            Self::Size => "size",
            Self::Memory => "memory",
            Self::Unfit => "unfit",
            Self::NotReady => "not_ready",
            Self::Version => "version",
            Self::Abandoned => "abandoned",
            Self::Unscored => "unscored",
            Self::Database => "database",
            Self::Stopped => "stopped",
        }
    }
}
