//! How much memory programs may have that read strangers' files: the pod ends as a whole when there is none left.

use std::{fs, sync::LazyLock};

/// Files with the limit of this container, by both versions of control groups, which lie at the root in a container.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// What a program needs for a page of usual size.
const LEAST: u64 = 256 << 20;
/// What a program needs that recognizes a page.
const DOCUMENT: u64 = 512 << 20;
/// What no document that is worth it needs.
const MOST: u64 = 2 << 30;

/// Bytes for one program.
pub fn of_program() -> u64 {
    static BYTES: LazyLock<u64> = LazyLock::new(|| share(limits()));
    *BYTES
}

/// How many programs may read documents at a time, of as many as there are processors for, and bytes for each.
pub fn of_documents(processors: usize) -> (usize, u64) {
    several(limits(), processors)
}

fn limits() -> impl Iterator<Item = String> {
    LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok())
}

/// Three quarters are theirs together.
fn several(limits: impl Iterator<Item = String>, processors: usize) -> (usize, u64) {
    let limit = limits.filter_map(|text| text.trim().parse::<u64>().ok()).min();
    let processors = processors.max(1);
    let Some(limit) = limit else { return (processors, MOST) };
    let theirs = limit / 4 * 3;
    let count = usize::try_from(theirs / DOCUMENT)
        .unwrap_or(usize::MAX)
        .clamp(1, processors);
    (count, (theirs / count as u64).clamp(DOCUMENT, MOST))
}

/// What is left beside the search for duplicates and records at work.
fn share(limits: impl Iterator<Item = String>) -> u64 {
    // "max" is no number, and means none.
    let limit = limits.filter_map(|text| text.trim().parse::<u64>().ok()).min();
    limit.map_or(MOST, |limit| (limit / 8 * 3).clamp(LEAST, MOST))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["max\n"], 2048)]
    #[case(&[], 2048)]
    #[case(&["1073741824\n"], 384)]
    #[case(&["1000"], 256)]
    #[case(&["9223372036854771712", "4294967296"], 1536)]
    fn a_program_has_a_share_of_the_limit(#[case] limits: &[&str], #[case] mebibytes: u64) {
        let found = share(limits.iter().map(|text| (*text).to_owned()));
        assert_eq!(found >> 20, mebibytes);
    }

    #[rstest]
    #[case(&[], 8, (8, 2048))]
    #[case(&["1073741824"], 8, (1, 768))]
    #[case(&["4294967296"], 2, (2, 1536))]
    #[case(&["4294967296"], 0, (1, 2048))]
    #[case(&["1000"], 4, (1, 512))]
    fn programs_share_the_limit(#[case] limits: &[&str], #[case] processors: usize, #[case] expected: (usize, u64)) {
        let (count, bytes) = several(limits.iter().map(|text| (*text).to_owned()), processors);
        assert_eq!((count, bytes >> 20), expected);
    }
}
