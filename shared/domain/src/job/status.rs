//! The status of a job.

/// The status of a job.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JobStatus {
    /// Nothing has started. Left to `Processing` by the first chunk, to `Aborted` by the client, to `Failed` by the
    /// sweep of jobs that nothing ever started.
    Queued,
    /// Some item may have been applied. Left to `Completed` or `Failed` when the last chunk is recorded.
    Processing,
    /// Every item has its own result. Never left.
    Completed,
    /// Something unexpected happened; items without an outcome have a failed result that says so. Never left.
    Failed,
    /// Stopped while queued: no item was applied and none ever will be. Never left.
    Aborted,
}

impl JobStatus {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Processing, Self::Completed, Self::Failed, Self::Aborted];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether a job in this state holds one of its account's slots.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Processing)
    }

    /// Whether a job in this state shows results.
    #[must_use]
    pub const fn shows_results(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}
