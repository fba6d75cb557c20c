//! Where files lie inside a worker pod.

/// Mount point of whatever the source provides (image volume, claim) or of the fetched files.
pub const MODEL_DIR: &str = "/model";
/// A small writable directory: the root file system is read-only.
pub const SCRATCH_DIR: &str = "/tmp";
/// Kubernetes reads a container's last words from here (4096 bytes at most).
pub const TERMINATION_LOG: &str = "/dev/termination-log";
