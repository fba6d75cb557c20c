//! Two processes on the ring over TCP learn what one does with the batches of both.

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use protocol::tune::Method;
use rstest::rstest;
use serde::{Deserialize, Serialize};

use crate::{
    Trainer,
    collective::{Alone, Group, ring},
    testing::{plan, texts, tiny},
};

const STEPS: i64 = 50;
/// What the losses of two processes and of one may differ by.
const NEAR: f64 = 1e-4;
/// What a member of the group is told by.
const MEMBER: &str = "ATELIER_TRAIN_MEMBER";

/// What a member is told.
#[derive(Serialize, Deserialize)]
struct Member {
    method: Method,
    addresses: Vec<String>,
    rank: usize,
    report: PathBuf,
}

/// What a process has learned.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Learned {
    losses: Vec<f64>,
    /// Tokens and targets of all steps.
    counts: (u64, f64),
    /// All trained numbers.
    values: Vec<Vec<f32>>,
}

/// Every step has two batches, of which each member of a group of two has one.
fn learn(method: Method, group: &mut dyn Group) -> Learned {
    let mut plan = plan(method);
    plan.hyperparameters.learning_rate = 2e-3;
    let mut trainer = Trainer::new(tiny("llama"), &plan, STEPS as u64).unwrap();
    let (mut losses, mut counts) = (Vec::new(), (0, 0.0));
    for step in 0..STEPS {
        let both = [2 * step % 30, (2 * step + 1) % 30];
        let mine = both.into_iter().enumerate();
        let mine = mine.filter(|(index, _)| index % group.size() == group.rank());
        let work: Vec<_> = mine.map(|(_, first)| texts(first)).collect();
        let report = trainer.step(&work, group).unwrap();
        losses.push(report.loss);
        counts = (counts.0 + report.tokens, counts.1 + report.weight);
    }
    let values = trainer.values_for_tests();
    let flat = |it: &tch::Tensor| Vec::<f32>::try_from(it.view([-1])).unwrap();
    Learned {
        losses,
        counts,
        values: values.iter().map(flat).collect(),
    }
}

fn start(member: &Member) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "tests::processes::a_member", "--ignored"]);
    command.env(MEMBER, serde_json::to_string(member).unwrap());
    command.env("OMP_NUM_THREADS", "1");
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

#[test]
#[ignore = "is one of the processes that the next test starts"]
fn a_member() {
    let member: Member = serde_json::from_str(&env::var(MEMBER).unwrap()).unwrap();
    let settings = ring::Settings::new(member.addresses, member.rank, [3; 32]);
    let mut ring = ring::Ring::meet(settings).unwrap();
    let learned = learn(member.method, &mut ring);
    fs::write(member.report, serde_json::to_vec(&learned).unwrap()).unwrap();
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::Full)]
fn two_processes_are_as_one(#[case] method: Method) {
    let directory = tempfile::tempdir().unwrap();
    let sockets = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = sockets.map(|it| it.local_addr().unwrap().to_string());
    let members = [0, 1].map(|rank| Member {
        method,
        addresses: addresses.to_vec(),
        rank,
        report: directory.path().join(rank.to_string()),
    });
    let children = members.each_ref().map(start);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let [zero, one]: [Learned; 2] =
        members.map(|member| serde_json::from_slice(&fs::read(member.report).unwrap()).unwrap());
    assert_eq!(zero, one, "the two do not agree");

    let alone = learn(method, &mut Alone);
    assert_eq!(alone.counts, zero.counts);
    let pairs = alone.losses.iter().zip(&zero.losses);
    let far = pairs.map(|(single, both)| (single - both).abs()).fold(0.0, f64::max);
    println!("{method:?}: largest difference of {STEPS} losses {far:.1e}");
    assert!(alone.losses.len() == STEPS as usize && far < NEAR, "{far}");
    assert!(zero.losses[STEPS as usize - 1] < zero.losses[0]);
}
