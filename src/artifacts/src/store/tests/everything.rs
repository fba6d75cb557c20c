//! All files of a place, whatever they are.

use super::*;

fn data() -> Content {
    [
        ("data/", Vec::new()),
        ("data/a.jsonl", b"{}\n".to_vec()),
        ("data/deep/b.csv", b"text\n".to_vec()),
        ("data/empty.txt", Vec::new()),
        ("data.jsonl", b"{}\n{}\n".to_vec()),
        ("database", b"other".to_vec()),
    ]
    .into()
}

#[rstest]
#[case::folder("s3://models/data/", &["a.jsonl", "deep/b.csv"])]
#[case::folder_without_slash("s3://models/data", &["a.jsonl", "deep/b.csv"])]
#[case::file("s3://models/data.jsonl", &["data.jsonl"])]
#[tokio::test]
async fn files_of_any_kind_are_fetched(#[case] uri: &str, #[case] expected: &[&str]) {
    let server = bucket(data(), |_, reply| reply).await;
    let place = Place::at(&server);
    let names = place.store(uri).fetch_all(&place.to(), |_, _| {}).await.unwrap();
    assert_eq!(names, expected);
    for name in names {
        assert!(std::fs::metadata(place.to().join(name)).unwrap().len() > 0);
    }
}

#[rstest]
#[case("s3://models/none/", "holds none")]
#[case("s3://models/none", "none")]
#[tokio::test]
async fn nothing_is_told(#[case] uri: &str, #[case] says: &str) {
    let server = bucket(data(), |_, reply| reply).await;
    let place = Place::at(&server);
    let failure = place.store(uri).fetch_all(&place.to(), |_, _| {}).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::NOT_FOUND, false),
        "{failure}"
    );
    assert!(failure.message.contains(says), "{failure}");
}
