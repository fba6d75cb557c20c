//! What a worker takes, against what the operator plans for it.

use anyhow::{Result, ensure};
use protocol::{MemoryEstimate, ServingShape};
use serde_json::json;

use crate::support::{Worker, model};

/// Pages of programs and libraries that it works with, in bytes: what is mapped where the kernel maps no more
/// than it has to, and a fifth.
const CODE: u64 = 128 << 20;

#[tokio::test]
async fn a_worker_takes_no_more_than_is_planned() -> Result<()> {
    let (facts, _) = artifacts::facts::of_path(&model())?;
    let shape = ServingShape {
        context_length: 512,
        max_concurrent_sequences: 16,
        max_batch_tokens: 64,
        bytes_per_element: 2,
    };
    let planned = MemoryEstimate::new(&facts, &shape).total;
    let worker = Worker::start(&["--dtype", "bf16"]).await?;
    // As many answers as there may be, and the logits of whole prompts, which make the widest passes.
    let bodies = (0..16).map(|index| {
        let logprobs = (index % 2 == 0).then_some(1);
        json!({"model": "m", "prompt": format!("{index} ships ").repeat(20), "max_tokens": 4, "echo": true,
               "logprobs": logprobs})
    });
    let bodies: Vec<_> = bodies.collect();
    futures::future::try_join_all(bodies.iter().map(|body| worker.post("/v1/completions", body))).await?;
    let peak = worker.peak_memory()? + CODE;
    ensure!(peak < planned, "{peak} bytes were needed, {planned} are planned");
    ensure!(peak > planned / 3, "{planned} are planned for {peak} bytes");
    Ok(())
}
