//! Where files lie inside a worker pod.

/// Mount point of whatever the source provides (image volume, claim) or of the fetched files.
pub const MODEL_DIR: &str = "/model";
/// Mount point of the claim that takes compressed weights.
pub const STORE_DIR: &str = "/store";
/// Mount point of what a calibration text comes from.
pub const CALIBRATION_DIR: &str = "/calibration";
/// Below it suites of questions are mounted, each under its name.
pub const SUITES_DIR: &str = "/suites";
/// Mount point of the file that lists the adapters which are wanted.
pub const ADAPTERS_DIR: &str = "/adapters/wanted";
/// A writable directory for adapters that are fetched.
pub const ADAPTER_STORE_DIR: &str = "/adapters/store";
/// Below it the volumes with adapters are mounted, each under the adapter's name.
pub const ADAPTER_MOUNTS_DIR: &str = "/adapters/mounts";
/// Below it the Secrets that adapters' sources need are mounted, each under its name.
pub const ADAPTER_SECRETS_DIR: &str = "/adapters/secrets";
/// A small writable directory: the root file system is read-only.
pub const SCRATCH_DIR: &str = "/tmp";
/// Kubernetes reads a container's last words from here (4096 bytes at most).
pub const TERMINATION_LOG: &str = "/dev/termination-log";
