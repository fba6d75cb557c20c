//! How much memory this process may have and has.

use std::fs;

/// The memory limit of this container in bytes, or the machine's memory where there is none. It may
/// change while the process runs: containers are resized in place.
pub(crate) fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_group = limit_files(&groups).into_iter().filter_map(|path| number(&path)).min();
    match (of_group, total()) {
        (Some(group), Some(total)) => Some(group.min(total)),
        (group, total) => group.or(total),
    }
}

/// Memory that this process holds, in bytes.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(&status, "VmRSS:")
}

fn total() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// Files that may state the limit, of both versions of control groups. In a container the group's own
/// directory is usually mounted as the root.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let path = path.trim_end_matches('/');
        files.push(format!("{root}{path}/{file}"));
        files.push(format!("{root}/{file}"));
    }
    files
}

fn number(path: &str) -> Option<u64> {
    // "max" is no number, and means none.
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_looked_at() {
        let files = limit_files("12:cpu,cpuacct:/a\n4:memory:/kube/pod\n0::/slice\n");
        let expected = [
            "/sys/fs/cgroup/memory/kube/pod/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected);
        assert!(limit_files("nonsense").is_empty());
    }

    #[test]
    fn this_process_has_less_than_it_may() {
        let (resident, limit) = (resident().unwrap(), limit().unwrap());
        assert!(0 < resident && resident < limit, "{resident} {limit}");
    }

    #[test]
    fn sizes_are_in_kilobytes() {
        assert_eq!(kilobytes("A: 1 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12288));
        assert_eq!(kilobytes("", "VmRSS:"), None);
    }
}
