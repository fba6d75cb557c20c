//! Reasons of conditions and Events that the operator gives. Reasons of failed downloads and broken
//! files come from the worker's prepare report and are passed on as they are.

/// The wanted version serves with all its replicas.
pub const SERVING: &str = "Serving";
/// An earlier version serves while the wanted one is on its way or was refused.
pub const SERVING_PREVIOUS: &str = "ServingPreviousVersion";
/// There are no replicas: the spec says so, or nobody asks.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
/// What the number of replicas depends on cannot be measured.
pub const AUTOSCALING_FAILED: &str = "AutoscalingFailed";
/// Some but not all replicas are ready.
pub const REPLICAS_NOT_READY: &str = "ReplicasNotReady";
/// No version has served yet.
pub const NOTHING_SERVES: &str = "NothingServes";
/// The LlmModel that a training starts from does not exist, or has no version yet.
pub const BASE_NOT_READY: &str = "BaseNotReady";
/// The LlmModel that a training starts from is none that can be trained.
pub const BASE_UNSUITABLE: &str = "BaseUnsuitable";
/// The parent of a run or trial is on its way.
pub const WAITING_FOR_PARENT: &str = "WaitingForParent";
/// Weights change.
pub const TRAINING: &str = "Training";
/// The result is written.
pub const PUBLISHING: &str = "Publishing";
/// The result is published.
pub const PUBLISHED: &str = "Published";
/// Nothing has been published so far.
pub const NOTHING_PUBLISHED: &str = "NothingPublished";
/// The gate kept the result from being published.
pub const GATE_FAILED: &str = "GateFailed";
/// The training ended without a result.
pub const TRAINING_FAILED: &str = "TrainingFailed";
/// `spec.suspend` is set.
pub const SUSPENDED: &str = "Suspended";
/// The queue of `spec.queueName` has not admitted the training.
pub const QUEUED: &str = "Queued";
/// There was nothing new to learn from since the last run.
pub const DATA_UNCHANGED: &str = "DataUnchanged";
/// Trials are under way.
pub const SWEEPING: &str = "Sweeping";
/// A trial was stopped because others are better.
pub const STOPPED: &str = "Stopped";
/// No trial of the sweep has published anything.
pub const NO_TRIAL_PASSED: &str = "NoTrialPassed";
/// The next run of the schedule waits for its time.
pub const SCHEDULED: &str = "Scheduled";
/// A run of the schedule is under way.
pub const RUNNING: &str = "Running";
/// The prepare step is at work.
pub const PREPARING: &str = "Preparing";
/// The weights are complete and match their digest.
pub const VERIFIED: &str = "Verified";
/// The weights were compressed within the allowed loss.
pub const COMPRESSED: &str = "Compressed";
/// The weights are being compressed.
pub const COMPRESSING: &str = "Compressing";
/// The version answers questions with known answers.
pub const EVALUATING: &str = "Evaluating";
/// The version passed its evaluation.
pub const EVALUATED: &str = "Evaluated";
/// The version did not pass its evaluation, or could not be evaluated.
pub const EVALUATION_FAILED: &str = "EvaluationFailed";
/// Every pod that answers requests has all adapters.
pub const ADAPTERS_LOADED: &str = "AdaptersLoaded";
/// Adapters are on their way to pods.
pub const ADAPTERS_LOADING: &str = "AdaptersLoading";
/// A pod could not load an adapter; everything else goes on.
pub const ADAPTER_FAILED: &str = "AdapterFailed";
/// All Gateways lead requests to the model.
pub const ROUTE_ACCEPTED: &str = "RouteAccepted";
/// The HTTPRoute is on its way: to be written, to be looked at by its Gateways, or to be deleted.
pub const ROUTE_PENDING: &str = "RoutePending";
/// A Gateway leads no requests to the model.
pub const ROUTE_REFUSED: &str = "RouteRefused";
/// The cluster has no Gateway API.
pub const GATEWAY_API_MISSING: &str = "GatewayApiMissing";
/// The claim for compressed weights is not bound to a volume.
pub const STORAGE_UNAVAILABLE: &str = "StorageUnavailable";
/// The prepare step ended without a usable report.
pub const PREPARE_FAILED: &str = "PrepareFailed";
/// Pods of the wanted version are starting.
pub const ROLLING_OUT: &str = "RollingOut";
/// The FineTuneJob that the spec names has published nothing yet.
pub const WAITING_FOR_FINE_TUNE_JOB: &str = "WaitingForFineTuneJob";
/// What the FineTuneJob that the spec names has published cannot be served as the spec asks.
pub const OUTPUT_UNUSABLE: &str = "OutputUnusable";
/// The wanted version gets a share of the traffic.
pub const CANARY: &str = "Canary";
/// The wanted version broke a service level objective while it was on trial.
pub const CANARY_STOPPED: &str = "CanaryStopped";
/// Nothing is left to do.
pub const UP_TO_DATE: &str = "UpToDate";
/// Nothing is wrong.
pub const AS_EXPECTED: &str = "AsExpected";
/// The spec asks for something this release does not do, or contradicts itself.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The spec asks for something this release does not do.
pub const NOT_SUPPORTED: &str = "NotSupported";
/// The version pinned by `spec.version` is not in the history.
pub const VERSION_NOT_FOUND: &str = "VersionNotFound";
/// The `atelier.dev/paused` annotation is set.
pub const PAUSED: &str = "Paused";
/// An object with the name of a child exists and belongs to somebody else.
pub const NAME_CONFLICT: &str = "NameConflict";
/// A referenced Secret, claim or other object does not exist.
pub const REFERENCE_NOT_FOUND: &str = "ReferenceNotFound";
/// An image cannot be pulled.
pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
/// No node has room, or none matches the placement.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// A container needed more memory than its limit.
pub const OUT_OF_MEMORY: &str = "OutOfMemory";
/// Replicas needed more memory than was estimated, and got it.
pub const MEMORY_RAISED: &str = "MemoryRaised";
/// A node took a pod back.
pub const EVICTED: &str = "Evicted";
/// A container starts and ends again and again.
pub const CRASH_LOOP: &str = "CrashLoop";
/// A container cannot be created: a volume, a Secret or its configuration is wrong.
pub const CONTAINER_CONFIG: &str = "ContainerConfigError";
/// The API server refused or did not answer.
pub const API_ERROR: &str = "ApiError";
/// The Room can be entered, and what is in it is as fresh as it is to be.
pub const OPEN: &str = "Open";
/// All sources were read.
pub const SYNCED: &str = "Synced";
/// Sources are being read.
pub const SYNCING: &str = "Syncing";
/// There are no sources to read.
pub const NO_SOURCES: &str = "NoSources";
/// Nothing has been read yet.
pub const NOTHING_INDEXED: &str = "NothingIndexed";
/// None of the Room's databases can be asked, and it has nothing else.
pub const DATABASE_UNAVAILABLE: &str = "DatabaseUnavailable";
/// The sources could not be read.
pub const SYNC_FAILED: &str = "SyncFailed";
/// Some sources could not be read; what is known of them stays.
pub const SOURCE_FAILED: &str = "SourceFailed";
/// Access rights are as fresh as they are to be.
pub const ACCESS_SYNCED: &str = "AccessSynced";
/// Access rights of a source are older than the spec allows.
pub const ACCESS_STALE: &str = "AccessStale";
/// No attempt to make the Room leak has succeeded, and what is hidden was there to be found.
pub const NO_LEAK: &str = "NoLeak";
/// An attempt to make the Room leak has succeeded.
pub const LEAKED: &str = "Leaked";
/// Attempts to make the Room leak prove nothing: what is hidden was not found by those who may see it.
pub const NOTHING_PROVED: &str = "NothingProved";
/// Nobody has tried yet to make the Room leak.
pub const NOT_TESTED: &str = "NotTested";
/// Nobody could try to make the Room leak.
pub const RED_TEAM_FAILED: &str = "RedTeamFailed";
/// An LlmModel that the spec names does not exist, is for something else, or has no version yet.
pub const MODEL_NOT_READY: &str = "ModelNotReady";
/// What is in the Room is being taken away, before it goes itself.
pub const PURGING: &str = "Purging";
/// What is in the Room could not be taken away.
pub const PURGE_FAILED: &str = "PurgeFailed";
/// Copies of live requests are compared.
pub const COMPARING: &str = "Comparing";
/// The comparison has its verdict.
pub const DECIDED: &str = "Decided";
/// What was measured cannot be had from the gateway.
pub const PAIRS_UNAVAILABLE: &str = "PairsUnavailable";
/// With the pairs that are planned, a difference as small as a margin can hardly be shown.
pub const MARGIN_TOO_SMALL: &str = "MarginTooSmall";
/// The gateway cannot keep the words of pairs that the spec asks for.
pub const WORDS_NOT_KEPT: &str = "WordsNotKept";
/// The gateway forgets the pairs, before the comparison goes itself.
pub const FORGETTING: &str = "Forgetting";
/// The gateway could not forget the pairs.
pub const FORGET_FAILED: &str = "ForgetFailed";
/// The version that serves is another one than when the comparison began.
pub const PRIMARY_CHANGED: &str = "PrimaryChanged";
/// The version of the candidate is another one than when the comparison began.
pub const CANDIDATE_CHANGED: &str = "CandidateChanged";
/// The candidate does not exist any more, or was rejected meanwhile.
pub const CANDIDATE_GONE: &str = "CandidateGone";
/// The model whose requests were copied does not exist any more.
pub const MODEL_GONE: &str = "ModelGone";
/// The version answers copies of live requests before it gets any.
pub const SHADOWING: &str = "Shadowing";
/// The version was worse on copies of live requests.
pub const SHADOW_REJECTED: &str = "ShadowRejected";
/// Copies of live requests did not show whether the version is worse: a person decides.
pub const SHADOW_INCONCLUSIVE: &str = "ShadowInconclusive";
