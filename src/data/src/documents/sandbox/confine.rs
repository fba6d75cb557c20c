//! What the process gives up before it looks at a document, as far as the kernel lets it; programs that it starts have no
//! more.
//!
//! Landlock hides all files but those of the system, the document, and the process's own directory: tokens and Secrets that
//! are mounted are not there. A filter of system calls refuses sockets of networks, and what gets around that or looks into
//! other processes. Both work without any privilege; where the kernel has one not, [`Confined`] says so.

use std::collections::BTreeMap;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use serde::{Deserialize, Serialize};

/// Where programs, libraries, fonts and their settings are.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix",
    "/var/cache/fontconfig",
];
/// Devices that programs open without knowing it.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

/// From what a process is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// Files of others.
    pub files: bool,
    /// Networks.
    pub network: bool,
}

/// Gives up what is not needed to read the document.
pub(super) fn confine(document: &Path, scratch: &Path) -> Confined {
    Confined {
        files: files(document, scratch).unwrap_or_default(),
        network: network().is_some(),
    }
}

fn files(document: &Path, scratch: &Path) -> Option<bool> {
    let abi = ABI::V3;
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let ruleset = Ruleset::default().handle_access(all).ok()?.create().ok()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs: Vec<_> = std::env::split_paths(&path).collect();
    let system = SYSTEM
        .iter()
        .map(Path::new)
        .chain(programs.iter().map(std::path::PathBuf::as_path));
    // What is not there needs no rule.
    let open = |path: &Path, access| PathFd::new(path).ok().map(|file| Ok(PathBeneath::new(file, access)));
    let rules = system.filter_map(|path| open(path, read)).collect::<Vec<_>>();
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let own = [(document, AccessFs::ReadFile.into()), (scratch, all)];
    let own = own
        .into_iter()
        .chain(DEVICES.iter().map(|path| (Path::new(path), device)));
    let own = own.filter_map(|(path, access)| open(path, access)).collect::<Vec<_>>();
    type Rules = Vec<std::result::Result<PathBeneath<PathFd>, landlock::RulesetError>>;
    let rules: Rules = rules.into_iter().chain(own).collect();
    let status = ruleset.add_rules(rules).ok()?.restrict_self().ok()?;
    Some(status.ruleset != RulesetStatus::NotEnforced)
}

fn network() -> Option<()> {
    let socket = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64).ok()?;
    let others = [
        libc::SYS_io_uring_setup,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = others.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![socket]).ok()?]);
    let refused = SeccompAction::Errno(libc::EACCES as u32);
    let architecture = std::env::consts::ARCH.try_into().ok()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture).ok()?;
    let program: BpfProgram = filter.try_into().ok()?;
    apply_filter(&program).ok()
}
