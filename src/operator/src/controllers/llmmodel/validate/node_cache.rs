//! The node cache, as far as this installation has one.

use api::reasons;

use super::{Settings, Wanted};
use crate::controllers::llmmodel::trouble::Trouble;

/// Where pods of a node share weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCache {
    /// Directory of the nodes, with one below it for each namespace.
    pub host_path: String,
    /// Bytes that the directory of a namespace may have on a node.
    pub size: u64,
}

/// Refuses what this installation does not offer.
///
/// # Errors
/// What it is, and who can change that.
pub fn offered(wanted: Wanted, settings: &Settings) -> Result<Wanted, Trouble> {
    if wanted.placement.node_cache == Some(true) && settings.node_cache.is_none() {
        let message = "this installation has no node cache: have its chart's value nodeCache.hostPath set to a \
            directory of the nodes, or remove spec.placement.nodeCache";
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::{settings, wanted};

    #[test]
    fn a_node_cache_takes_an_installation_with_one() {
        let wanted = wanted(json!({"placement": {"nodeCache": true}}));
        let mut settings = settings();
        let trouble = offered(wanted.clone(), &settings).unwrap_err();
        assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
        assert!(trouble.message.contains("nodeCache.hostPath"), "{}", trouble.message);
        settings.node_cache = Some(NodeCache {
            host_path: "/cache".into(),
            size: 1,
        });
        offered(wanted, &settings).unwrap();
    }
}
