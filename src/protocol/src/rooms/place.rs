//! Where in its document something stands.

use serde::{Deserialize, Serialize};

/// Where in its document a chunk stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Place {
    /// The page, from 1, where the document has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The headings that it stands under, from the outermost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// Left, top, right and bottom on its page, as shares of the page's width and height from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<[f32; 4]>,
    /// From where to where in the document's text, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<[u64; 2]>,
}
