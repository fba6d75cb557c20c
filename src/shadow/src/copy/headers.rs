//! The headers of a copy.

/// Says to the candidate and to whoever counts its requests that nobody waits for the answer: the pair's id.
pub const PAIR: &str = "x-atelier-shadow-pair";

/// All headers of a copy. Nothing of the live request's passes: credentials, cookies, addresses, traces and whatever
/// else tells who asked stay behind, under whatever name.
pub fn headers(pair: &str) -> Vec<(&'static str, String)> {
    // A header's value has no control characters, and an id has none that are not ASCII.
    let pair = pair.chars().filter(char::is_ascii_graphic).take(128).collect();
    vec![
        ("accept", "text/event-stream".into()),
        ("content-type", "application/json".into()),
        (PAIR, pair),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_these_headers_and_no_others() {
        let names: Vec<_> = headers("p-1").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["accept", "content-type", PAIR]);
    }

    #[test]
    fn an_id_cannot_smuggle_a_header_in() {
        let (_, value) = headers("p-1\r\nAuthorization: x\u{202e}").pop().unwrap();
        assert_eq!(value, "p-1Authorization:x");
    }
}
