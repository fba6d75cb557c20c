//! Names of documents in paths.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A document's name in paths: its source and its name there. It tells nothing else, and there need be no such document.
pub fn document_id(source: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{source}/{name}"))
}

/// The source and the name that [`document_id`] was given; none for what it never gives.
pub fn document_of(id: &str) -> Option<(String, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    // Names of sources are DNS labels.
    let (source, name) = text.split_once('/')?;
    (!source.is_empty() && !name.is_empty()).then(|| (source.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (source, name) in [("hr", "a.pdf"), ("hr", "deep/er/ä ?#.pdf"), ("x", "/")] {
            let id = document_id(source, name);
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            );
            assert_eq!(document_of(&id), Some((source.into(), name.into())));
        }
        for bad in ["", "!", "aHI", "L2E", "aHIv", "_w"] {
            assert_eq!(document_of(bad), None, "{bad}");
        }
    }
}
