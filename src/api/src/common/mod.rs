//! Types that more than one kind uses.

mod pod;
mod reference;
mod resources;
mod route;
mod source;

pub use pod::{EnvVar, Placement, PodOverrides, Toleration, TolerationEffect, TolerationOperator};
pub use reference::{ModelRef, ModelVersionRef, SecretKeyRef, SecretRef};
pub use resources::{Accelerator, Resources};
pub use route::{GatewayApiRoute, ParentRef, Route};
pub use source::{HttpSource, ImagePullPolicy, ObjectStoreSource, OciSource, OciType, PersistentVolumeClaimSource};

/// Patterns of strings, for the schemas.
pub mod pattern {
    /// A DNS label, as RFC 1123 has it.
    pub const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    /// A DNS subdomain: the names of most Kubernetes objects.
    pub const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    /// The name of a host, whose first label may be `*`.
    pub const HOSTNAME: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    /// A version: `v-` and ten hex digits.
    pub const VERSION: &str = "^v-[0-9a-f]{10}$";
    /// A Kubernetes quantity: `500m`, `1.5`, `2Gi`.
    pub const QUANTITY: &str = "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$";
    /// A percentage: `5%`, `0.5%`.
    pub const PERCENT: &str = r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,6})?)%$";
    /// A decimal number that is not negative: `0.02`, `1e-5`.
    pub const DECIMAL: &str = "^[0-9]+(\\.[0-9]+)?([eE]-?[0-9]{1,3})?$";
    /// A decimal fraction: `0`, `0.05`, `1`.
    pub const FRACTION: &str = r"^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$";
    /// A duration: `90s`, `1h30m`, `7d`.
    pub const DURATION: &str = "^([0-9]{1,9}(ms|s|m|h|d))+$";
    /// A URL over HTTP.
    pub const HTTP_URL: &str = "^https?://[^/?#\\s]+[^\\s]*$";
    /// The name of an environment variable.
    pub const ENV_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
    /// Five fields of cron, or one of its nicknames.
    pub const CRON: &str =
        r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[-0-9A-Za-z*,/]+( +[-0-9A-Za-z*,/?]+){4})$";
}
