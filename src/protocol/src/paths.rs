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
/// Mount point of the node's cache, where pods share what they fetch.
pub const NODE_CACHE_DIR: &str = "/node-cache";
/// In the directory of a model of that cache: who uses the model holds a lock on it.
pub const CACHE_LOCK: &str = ".lock";
/// Below the cache, by the hex digits of their digests: models.
pub const CACHE_ENTRIES: &str = "entries";
/// In the directory of a model of that cache: the model, a file or a directory. Each source has another name for it.
pub const CACHE_WEIGHTS: &str = "weights";
/// Below the cache, by the same names: what engines make of models for their next start.
pub const CACHE_PACKED: &str = "packed";
/// In one of the latter: a note that the model has lost its digest.
pub const CACHE_DAMAGED: &str = ".damaged";
/// Mount point of the latter in a pod that serves.
pub const PACKED_DIR: &str = "/packed";
/// Mount point of the volume of a FineTuneJob: its data, checkpoints and outputs.
pub const TUNE_DIR: &str = "/tune";
/// Below it the sources of its data are mounted, each under its name.
pub const DATA_SOURCES_DIR: &str = "/sources";
/// Below it the Secrets that those need are mounted, each under the source's name.
pub const DATA_SECRETS_DIR: &str = "/secrets";
/// Mount point of what an ingestion has for documents that it is reading.
pub const INGEST_DIR: &str = "/work";
/// Directory of the token that an ingestion shows the gateway.
pub const GATEWAY_TOKEN_DIR: &str = "/var/run/secrets/atelier";
/// The token's file in it.
pub const GATEWAY_TOKEN_FILE: &str = "token";
/// Where the output of a FineTuneJob is mounted in a pod that serves it beside its base.
pub const TUNED_DIR: &str = "/tuned";
/// A small writable directory: the root file system is read-only.
pub const SCRATCH_DIR: &str = "/tmp";
/// Kubernetes reads a container's last words from here (4096 bytes at most).
pub const TERMINATION_LOG: &str = "/dev/termination-log";
