//! What the parts of the system write.

use anyhow::{Result, bail};

use crate::process;
use crate::target::{NAMESPACE, Target};

/// Parts of the control plane, each with a log of its own in the cluster's directory.
const CONTROL_PLANE: [&str; 8] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "coredns",
];

/// What to show.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `operator`, `gateway`, `worker`, a part of the control plane, or a pod.
    pub what: &'a str,
    /// Namespace of workers and of a named pod.
    pub namespace: &'a str,
    /// Keep printing.
    pub follow: bool,
    /// Lines to begin with.
    pub lines: usize,
}

/// Prints logs on the user's terminal.
pub fn show(target: &Target, request: Request<'_>) -> Result<()> {
    let lines = request.lines.to_string();
    if CONTROL_PLANE.contains(&request.what) {
        let Target::Local(cluster) = target else {
            bail!(
                "failed to show the log of {}: only the local cluster's control plane is ours",
                request.what
            )
        };
        let mut tail = process::command("tail");
        tail.args(["--lines", &lines]);
        if request.follow {
            tail.arg("--follow=name");
        }
        return process::pass(tail.arg(cluster.log(request.what)));
    }
    target.require()?;
    let mut logs = target.kubectl();
    logs.args(["logs", "--all-containers", "--prefix", "--tail", &lines]);
    if request.follow {
        logs.args(["--follow", "--max-log-requests", "50"]);
    }
    process::pass(logs.args(selection(request)))
}

/// How kubectl is told which pods.
fn selection(request: Request<'_>) -> Vec<String> {
    let owned = |words: [&str; 4]| words.map(str::to_owned).to_vec();
    match request.what {
        "operator" | "gateway" => {
            let label = format!(
                "app.kubernetes.io/name=atelier,app.kubernetes.io/component={}",
                request.what
            );
            owned(["--namespace", NAMESPACE, "--selector", &label])
        }
        "worker" => owned([
            "--namespace",
            request.namespace,
            "--selector",
            "app.kubernetes.io/managed-by=atelier",
        ]),
        pod => vec!["--namespace".into(), request.namespace.into(), pod.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_by_label_and_pods_by_name() {
        let select = |what| {
            selection(Request {
                what,
                namespace: "default",
                follow: false,
                lines: 1,
            })
            .join(" ")
        };
        assert!(select("operator").starts_with("--namespace atelier-system --selector"));
        assert!(select("worker").starts_with("--namespace default --selector app.kubernetes.io/managed-by=atelier"));
        assert_eq!(select("smollm2-0"), "--namespace default smollm2-0");
    }
}
