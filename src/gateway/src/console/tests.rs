use std::{collections::BTreeSet, fs, path::Path as FilePath};

use axum::{Router, extract::Request};
use http_body_util::BodyExt;
use rstest::rstest;
use tower::ServiceExt;

use super::*;

/// What is answered without a gateway: none is needed.
async fn ask(path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let add = |router: Router, (path, route): (&str, _)| router.route(path, route);
    let router = surface().into_iter().fold(Router::new(), add);
    let mut request = Request::builder().uri(path);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, bytes.to_vec())
}

#[rstest]
#[case("/console/", "text/html; charset=utf-8", "home.js")]
#[case("/console/rooms/ns/hr", "text/html; charset=utf-8", "room.js")]
#[case("/console/rooms/n%20s/%ff", "text/html; charset=utf-8", "room.js")]
#[case("/console/assets/room.js", "text/javascript; charset=utf-8", "import")]
#[case("/console/assets/base.css", "text/css; charset=utf-8", ":root")]
#[case("/console/assets/icon.svg", "image/svg+xml", "<svg")]
#[tokio::test]
async fn files_are_served_with_what_browsers_may_do(#[case] path: &str, #[case] media_type: &str, #[case] has: &str) {
    let (status, headers, body) = ask(path, None).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &HeaderValue::from_str(media_type).unwrap())
    );
    assert!(String::from_utf8(body).unwrap().contains(has));
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.split("; ").any(|one| one == part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let (_, headers, _) = ask("/console/assets/room.js", None).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        let (status, headers, body) = ask("/console/assets/room.js", Some(&known)).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(headers["etag"].to_str().unwrap(), tag);
    }
    for other in ["\"x\"", "", &tag[1..33]] {
        let (status, _, body) = ask("/console/assets/room.js", Some(other)).await;
        assert!(status == StatusCode::OK && !body.is_empty(), "{other}");
    }
    let (status, ..) = ask("/console/assets/home.js", Some(&tag)).await;
    assert_eq!(status, StatusCode::OK);
}

#[rstest]
#[case("/console/assets/none.js")]
#[case("/console/assets/home.html")]
#[case("/console/assets/..%2fmod.rs")]
#[case("/console/assets/%ff")]
#[tokio::test]
async fn what_is_no_part_is_not_there(#[case] path: &str) {
    let (status, headers, body) = ask(path, None).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::NOT_FOUND, &HeaderValue::from_static("application/json"))
    );
    assert!(headers.contains_key("content-security-policy"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "not_found");
}

#[tokio::test]
async fn the_short_path_leads_to_the_long_one() {
    let (status, headers, _) = ask("/console", None).await;
    assert_eq!(
        (status, &headers["location"]),
        (StatusCode::PERMANENT_REDIRECT, &HeaderValue::from_static(PATH))
    );
}

#[test]
fn paths_are_told_from_others() {
    for path in ["/console", "/console/", "/console/rooms/a/b", "/console/assets/room.js"] {
        assert!(has(path), "{path}");
    }
    for path in ["/", "/consoles", "/v1/rooms/console/x"] {
        assert!(!has(path), "{path}");
    }
}

/// Names of files in a text between `before` and a quote.
fn named<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn every_file_is_served_and_every_file_that_is_named_is_there() {
    let directory = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/console/web");
    let there: BTreeSet<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let files = || [assets::HOME, assets::ROOM].into_iter().chain(PARTS.iter().copied());
    let served: BTreeSet<String> = files().map(|file| file.name.to_owned()).collect();
    assert_eq!(there, served);
    let mut used = BTreeSet::new();
    for file in files() {
        let text = std::str::from_utf8(file.bytes).unwrap();
        for name in named(text, "from \"./")
            .into_iter()
            .chain(named(text, "\"/console/assets/"))
        {
            assert!(assets::part(name).is_some(), "{name} in {}", file.name);
            used.insert(name);
        }
    }
    let parts: BTreeSet<_> = PARTS.iter().map(|file| file.name).collect();
    assert_eq!(used, parts, "what nothing names is not needed");
}

/// What would make text into HTML or script, or come from elsewhere. The browser is told to refuse it, too.
#[test]
fn nothing_is_made_into_html_and_nothing_comes_from_elsewhere() {
    for file in [assets::HOME, assets::ROOM].iter().chain(PARTS) {
        let text = std::str::from_utf8(file.bytes).unwrap();
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "srcdoc",
            "eval(",
            "Function(",
            "javascript:",
            "http://",
            "https://",
            "style=",
            "onclick=",
            "?token=",
        ] {
            assert!(!text.contains(word), "{word} in {}", file.name);
        }
    }
}
