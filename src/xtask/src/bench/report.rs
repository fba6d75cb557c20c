//! What `cargo xtask bench` prints: a table for people, one JSON object for machines.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::home::Home;
use crate::process;

/// Instruction sets that kernels of matrix products use.
const FEATURES: [&str; 8] = [
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
];

/// The measurements of one call.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    commit: String,
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    /// Instruction sets that decide how fast tensors are computed.
    features: Vec<&'static str>,
    /// Bytes.
    memory: u64,
}

/// One measured quantity.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// Its unit: `s`, `bytes`, `tokens/s`, `writes`.
    pub unit: &'static str,
    /// What we measured.
    pub ours: Spread,
    /// What somebody else's program did on the same work in the same call.
    pub peer: Option<PeerSpread>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// How much of what the machine can do that is: of its memory's bandwidth or of its fastest products.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// The goal, and what to know when reading the figure.
    pub note: String,
}

/// Somebody else's program.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Somebody else's program and what it did.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeerSpread {
    #[serde(flatten)]
    peer: Peer,
    #[serde(flatten)]
    spread: Spread,
}

/// Repeated measurements of one quantity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    median: f64,
    min: f64,
    max: f64,
    n: usize,
}

impl Spread {
    /// Of at least one sample.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            unreachable!("a measured row has samples")
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self {
            median,
            min: *min,
            max: *max,
            n: sorted.len(),
        }
    }
}

impl Row {
    /// A row without a peer.
    pub fn new(id: &'static str, unit: &'static str, samples: &[f64], note: impl Into<String>) -> Self {
        Self {
            id,
            unit,
            ours: Spread::of(samples),
            peer: None,
            ratio: None,
            fraction: None,
            note: note.into(),
        }
    }

    /// The row where one unit takes `work` of the `most` that the machine can do in a second.
    pub fn of_machine(self, work: f64, most: f64) -> Self {
        Self {
            fraction: Some(self.ours.median * work / most),
            ..self
        }
    }

    /// The row with what a peer did.
    pub fn against(self, peer: Peer, samples: &[f64]) -> Self {
        let spread = Spread::of(samples);
        Self {
            ratio: Some(self.ours.median / spread.median),
            peer: Some(PeerSpread { peer, spread }),
            ..self
        }
    }
}

impl Report {
    /// Collects what identifies the machine and the code.
    pub fn new(home: &Home, bench: &'static str, rows: Vec<Row>) -> Result<Self> {
        let mut head = process::command("git");
        head.current_dir(&home.repo).args(["describe", "--always", "--dirty"]);
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo")?;
        let meminfo = std::fs::read_to_string("/proc/meminfo")?;
        Ok(Self {
            bench,
            commit: process::read(&mut head).map_or_else(|_| "uncommitted".into(), |text| text.trim().to_owned()),
            machine: Machine {
                cpu: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
                cores: std::thread::available_parallelism()?.get(),
                features: features(&cpuinfo),
                memory: kibibytes(&meminfo, "MemTotal").unwrap_or_default(),
            },
            rows,
        })
    }

    /// Prints it on standard output.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        let Machine {
            cpu, cores, features, ..
        } = &self.machine;
        println!("{} on {cores} x {cpu} ({})", self.bench, features.join(" "));
        for row in &self.rows {
            let Spread { median, min, max, n } = row.ours;
            let against = match (&row.peer, row.ratio) {
                (Some(other), Some(ratio)) => format!(
                    "  {ratio:.2} x {} {} ({:.2})",
                    other.peer.name, other.peer.version, other.spread.median
                ),
                _ => String::new(),
            };
            let of_machine = row
                .fraction
                .map(|fraction| format!("  {:.0}% of the machine", fraction * 100.0));
            let of_machine = of_machine.unwrap_or_default();
            println!(
                "{:<20} {median:>12.2} {:<9} ({min:.2} to {max:.2}, n={n}){against}{of_machine}  {}",
                row.id, row.unit, row.note
            );
        }
        Ok(())
    }
}

/// Those of the named instruction sets that the machine has.
fn features(cpuinfo: &str) -> Vec<&'static str> {
    let flags: Vec<&str> = field(cpuinfo, "flags").unwrap_or_default().split_whitespace().collect();
    FEATURES.into_iter().filter(|name| flags.contains(name)).collect()
}

/// The value of `name : value` in a file of /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
        .map(str::trim)
}

/// The value of `name: 123 kB` in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|value| value * 1024)
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS")
}

/// The most that it was.
pub fn peak(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM")
}

fn memory(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    kibibytes(&text, field).with_context(|| format!("failed to find {field} in {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(
            Spread::of(&[3.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0,
                n: 3
            }
        );
        assert_eq!(
            Spread::of(&[4.0, 1.0]),
            Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0,
                n: 2
            }
        );
    }

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(
            field("processor\t: 0\nmodel name\t: A CPU\n", "model name"),
            Some("A CPU")
        );
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t  2048 kB\n", "VmRSS"), Some(2 << 20));
        assert_eq!(kibibytes("Name:\tx\n", "VmRSS"), None);
    }
}
