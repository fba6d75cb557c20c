//! Children of a model as small as they get: there are many models, and most are looked at when somebody changes one.

use std::io::{Read, Write};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use crate::controllers::llmmodel::dereference::Observed;

/// What was observed, compressed: a tenth of what it takes in memory.
#[derive(Debug)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Packs; `None` when it cannot be, and is then listed anew.
    pub fn new(observed: &Observed) -> Option<Self> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut encoder, observed).ok()?;
        encoder.flush().ok()?;
        Some(Self(encoder.finish().ok()?.into_boxed_slice()))
    }

    /// What was packed.
    pub fn open(&self) -> Option<Observed> {
        let mut text = Vec::new();
        DeflateDecoder::new(&*self.0).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::{
        build::Builder,
        testing::{report, settings, the_owner, wanted},
        version::Version,
    };

    #[test]
    fn children_come_out_as_they_went_in() {
        let (owner, settings, wanted) = (
            the_owner(),
            settings(),
            wanted(json!({"prompt": {"system": "Be brief."}})),
        );
        let builder = Builder {
            owner: &owner,
            wanted: &wanted,
            settings: &settings,
        };
        let children = builder.children(&Version::new(&wanted, report()), 3);
        let observed = Observed {
            revisions: vec![children.revision],
            deployments: vec![children.deployment],
            services: vec![children.service],
            network_policies: vec![children.network_policy],
            ..Observed::default()
        };
        let packed = Packed::new(&observed).unwrap();
        let opened = packed.open().unwrap();
        assert_eq!(opened.revisions, observed.revisions);
        assert_eq!(opened.deployments, observed.deployments);
        assert_eq!(opened.services, observed.services);
        assert_eq!(opened.network_policies, observed.network_policies);
        let plain = serde_json::to_vec(&observed).unwrap().len();
        assert!(packed.0.len() * 2 < plain, "{} of {plain} bytes", packed.0.len());
    }
}
