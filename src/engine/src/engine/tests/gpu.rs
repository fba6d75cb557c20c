//! On a GPU: `cargo test -p atelier-engine gpu -- --ignored` on a machine that has one, with
//! `LD_LIBRARY_PATH` at a libtorch that has its CUDA half.

use super::*;
use crate::weights::tests::file_of;

fn engine_on(device: Device, architecture: &str, dtype: Dtype) -> Engine {
    let options = EngineOptions {
        model: ModelOptions {
            device,
            ..ModelOptions::plain(dtype, Ops::Aten, 64)
        },
        max_concurrent_sequences: 8,
        max_batch_tokens: 24,
        max_queue: 32,
        ..options()
    };
    Engine::start(file_of(architecture, &[]), options).unwrap()
}

/// Ln of the probability of each token of the prompt but the first.
fn prompt_logprobs(engine: &Engine, prompt: &[u32]) -> Vec<f32> {
    let request = Request {
        prompt_logprobs: Some(1),
        ..greedy(prompt, 0)
    };
    let logprobs = |event: &Event| match event {
        Event::Prompt { logprobs, .. } => Some(logprobs.iter().map(|entry| entry.chosen.logprob).collect()),
        _ => None,
    };
    let events = collect(engine.submit(request).unwrap());
    events.iter().find_map(logprobs).unwrap()
}

fn prompts() -> Vec<Vec<u32>> {
    let of_length = |length: u32| (0..length).map(|i| (i * i + 7 * length) % 64).collect();
    [1, 2, 5, 16, 17, 33, 40, 50].map(of_length).into()
}

#[test]
#[ignore = "needs a CUDA device"]
fn a_gpu_computes_what_the_processor_does() {
    for architecture in ["llama", "qwen2", "qwen3"] {
        for (dtype, tolerance) in [(Dtype::Fp32, 1e-4), (Dtype::Bf16, 0.1)] {
            let gpu = engine_on(Device::Cuda(0), architecture, dtype);
            let cpu = engine_on(Device::Cpu, architecture, Dtype::Fp32);
            for prompt in prompts() {
                let (ours, theirs) = (prompt_logprobs(&gpu, &prompt), prompt_logprobs(&cpu, &prompt));
                assert_eq!(ours.len(), prompt.len() - 1);
                let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(
                    off < tolerance,
                    "{architecture}, {dtype}, {} tokens: off by {off}",
                    prompt.len()
                );
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn requests_together_on_a_gpu_get_what_they_get_alone() {
    let gpu = engine_on(Device::Cuda(0), "llama", Dtype::Fp32);
    let drawn = |index: usize, prompt: &[u32]| Request {
        sampling: Sampling {
            temperature: [0.0, 1.0, 0.8][index % 3],
            top_p: [1.0, 1.0, 0.9][index % 3],
            seed: Some(index as u64),
            ..Sampling::default()
        },
        ..greedy(prompt, 12)
    };
    let requests: Vec<_> = prompts()
        .iter()
        .enumerate()
        .map(|(index, prompt)| drawn(index, prompt))
        .collect();
    let alone: Vec<_> = requests
        .iter()
        .map(|request| tokens(&collect(gpu.submit(request.clone()).unwrap())))
        .collect();
    let together: Vec<_> = requests
        .into_iter()
        .map(|request| gpu.submit(request).unwrap())
        .collect();
    let together: Vec<_> = together.into_iter().map(|events| tokens(&collect(events))).collect();
    assert_eq!(alone, together);
    assert!(alone.iter().all(|answer| !answer.is_empty()));
}

#[test]
#[ignore = "needs a CUDA device"]
fn adapters_on_a_gpu_change_what_they_change_on_the_processor() {
    use crate::lora::{Adapter, Projection, testing::tiny};

    let engines = [Device::Cuda(0), Device::Cpu].map(|device| engine_on(device, "llama", Dtype::Fp32));
    let [on_gpu, on_cpu] = engines.map(|engine| {
        let directory = tiny(4, 16.0, &Projection::ALL);
        let adapter = Arc::new(Adapter::load(directory.path(), engine.config(), Dtype::Fp32).unwrap());
        let request = |adapter| Request {
            adapter,
            ..greedy(&[1, 2, 3, 4, 5], 12)
        };
        [None, Some(adapter)].map(|adapter| tokens(&collect(engine.submit(request(adapter)).unwrap())))
    });
    assert_eq!(on_gpu, on_cpu);
    assert_ne!(on_gpu[0], on_gpu[1]);
}
