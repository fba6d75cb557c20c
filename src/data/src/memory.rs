//! How much memory programs may have that read strangers' files: the pod ends as a whole when there is none left.

use std::{fs, sync::LazyLock};

/// Files with the limit of this container, by both versions of control groups, which lie at the root in a container.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// What a program needs for a page of usual size.
const LEAST: u64 = 256 << 20;
/// What no document that is worth it needs.
const MOST: u64 = 2 << 30;

/// Bytes for one program.
pub fn of_program() -> u64 {
    static BYTES: LazyLock<u64> = LazyLock::new(|| {
        let limits = LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok());
        share(limits)
    });
    *BYTES
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
}
