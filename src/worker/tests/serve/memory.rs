//! What a worker takes, against what the operator plans for it.

use anyhow::{Result, ensure};
use protocol::{MemoryEstimate, ServingShape};
use rstest::rstest;
use serde_json::json;

use crate::support::{Worker, model};

/// Pages of programs and libraries that it works with, in bytes: what is mapped where the kernel maps no more
/// than it has to, and a fifth.
const CODE: u64 = 128 << 20;

/// Whatever a pass may hold, and whichever of the routes that tell likelihoods is asked.
#[rstest]
#[case(64)]
#[case(512)]
#[tokio::test]
async fn a_worker_takes_no_more_than_is_planned(#[case] max_batch_tokens: u64) -> Result<()> {
    let (facts, _) = artifacts::facts::of_path(&model())?;
    let shape = ServingShape {
        context_length: 512,
        max_concurrent_sequences: 16,
        max_batch_tokens,
        bytes_per_element: 2,
    };
    let planned = MemoryEstimate::new(&facts, &shape).total;
    let worker = Worker::start(&["--dtype", "bf16", "--max-batch-tokens", &max_batch_tokens.to_string()]).await?;
    // As many answers as there may be, and the logits of whole prompts, which make the widest passes.
    let bodies = (0..16).map(|index| {
        let prompt = format!("{index} ships ").repeat(20);
        match index % 4 {
            0 => (
                "/internal/score",
                json!({"model": "m", "prompt": prompt, "completion": " sail".repeat(20 + index % 60)}),
            ),
            _ => {
                let logprobs = (index % 2 == 0).then_some(1);
                let body = json!({"model": "m", "prompt": prompt, "max_tokens": 4, "echo": true, "logprobs": logprobs});
                ("/v1/completions", body)
            }
        }
    });
    let bodies: Vec<_> = bodies.collect();
    for bodies in bodies.chunks(16) {
        futures::future::try_join_all(bodies.iter().map(|(path, body)| worker.post(path, body))).await?;
    }
    let peak = worker.peak_memory()? + CODE;
    ensure!(peak < planned, "{peak} bytes were needed, {planned} are planned");
    ensure!(peak > planned / 3, "{planned} are planned for {peak} bytes");
    Ok(())
}
