use protocol::quarantine::Reason;
use rstest::rstest;

use super::testing::of_bytes;

#[rstest]
#[case("a.txt", b"", Reason::Empty)]
#[case("a.txt", b" \n\t\n", Reason::Empty)]
#[case("a.html", b"<script>x</script>", Reason::Empty)]
#[case("a.bin", b"\x00\x01\x02\x03", Reason::NotText)]
#[case("a.txt", b"\xff\xfe\xfd", Reason::NotText)]
#[case("a.gz", b"\x1f\x8b\x08\x00", Reason::UnsupportedType)]
#[case("a.csv", b"\xe9,b", Reason::NotText)]
fn what_says_nothing_is_refused(#[case] name: &str, #[case] bytes: &[u8], #[case] reason: Reason) {
    let refused = of_bytes(name, bytes, |_| {}).unwrap_err();
    assert_eq!(refused.reason, reason, "{refused}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let refused = of_bytes("a.txt", &[b'x'; 2000], |request| request.limits.bytes = 1000).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert!(
        refused.detail.contains("2000") && refused.detail.contains("1000"),
        "{refused}"
    );
}
