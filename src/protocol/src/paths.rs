//! Where files lie inside a worker pod.

/// Mount point of whatever the source provides (image volume, claim) or of the fetched files.
pub const MODEL_DIR: &str = "/model";
/// Mount point of the claim that takes compressed weights.
pub const STORE_DIR: &str = "/store";
/// Mount point of what a calibration text comes from.
pub const CALIBRATION_DIR: &str = "/calibration";
/// Below it suites of questions are mounted, each under its name.
pub const SUITES_DIR: &str = "/suites";
/// A small writable directory: the root file system is read-only.
pub const SCRATCH_DIR: &str = "/tmp";
/// Kubernetes reads a container's last words from here (4096 bytes at most).
pub const TERMINATION_LOG: &str = "/dev/termination-log";
