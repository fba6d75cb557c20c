//! Batching never changes answers: many requests that have nothing in common, computed together with
//! everything that the engine does to save work, against each of them alone.

use std::{sync::Arc, thread};

use gguf::Value;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    Events,
    lora::{
        Adapter, Projection,
        testing::{description, module, tiny_model},
        write,
    },
};

const REQUESTS: usize = 64;
/// Half as many again are cancelled: a third of all.
const CANCELLED: usize = 32;
const CONTEXT: usize = 512;
/// A tiny network for long prompts. Nothing is shared unless `saving`, nothing has to make room.
fn start(saving: bool) -> Engine {
    let file = tiny_file(&[("llama.context_length", Value::Unsigned(CONTEXT as u64))]);
    let options = EngineOptions {
        model: ModelOptions::plain(Dtype::Fp32, Ops::Own, CONTEXT),
        max_concurrent_sequences: 12,
        // Less than most prompts, which are cut.
        max_batch_tokens: 48,
        max_queue: REQUESTS + CANCELLED,
        prefix_cache: saving,
        // Room for one and a half contexts.
        kv_cache_tokens: saving.then_some(CONTEXT * 3 / 2),
    };
    Engine::start(file, options).unwrap()
}

/// Ranks 1, 4 and 8, the last one rank-stabilized.
fn adapters() -> Vec<Arc<Adapter>> {
    let model = tiny_model();
    let make = |(rank, rank_stabilized)| {
        let description = crate::lora::Description {
            rank_stabilized,
            ..description(rank, 8.0, &Projection::ALL)
        };
        let each = |layer| Projection::ALL.map(|projection| module(layer, projection, rank, &model));
        let modules: Vec<_> = (0..model.layers).flat_map(each).collect();
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &description, &modules).unwrap();
        Arc::new(Adapter::load(directory.path(), &model, Dtype::Fp32).unwrap())
    };
    [(1, false), (4, false), (8, true)].into_iter().map(make).collect()
}

/// Requests of all sorts, the same ones for the same seed.
fn requests(count: usize, seed: u64, adapters: &[Arc<Adapter>]) -> Vec<Request> {
    let mut random = StdRng::seed_from_u64(seed);
    // The same for all seeds: what is cancelled shares its beginnings with what is not.
    let beginnings: [Vec<u32>; 2] = [7, 300].map(|seed| {
        let mut random = StdRng::seed_from_u64(seed);
        (0..200).map(|_| random.random_range(0..64)).collect()
    });
    let mut one = |index: usize| {
        let length = match index % 4 {
            0 => 1 + index / 4 % 3,
            1 => random.random_range(1..60),
            _ => random.random_range(60..380),
        };
        let mut prompt: Vec<u32> = (0..length).map(|_| random.random_range(0..64)).collect();
        if index.is_multiple_of(3) && length > 3 {
            let shared = random.random_range(1..=length.min(200)).min(length - 1);
            prompt[..shared].copy_from_slice(&beginnings[index % 2][..shared]);
        }
        let user = format!("user {}", index % 5);
        Request {
            adapter: adapters.get(index % 8).cloned(),
            cache_scope: Some(user.clone()),
            user: Some(user),
            logprobs: Some(2),
            ..greedy(&prompt, random.random_range(1..40))
        }
    };
    (0..count).map(&mut one).collect()
}

/// The logprobs of the two likeliest tokens at every place of an answer.
fn likeliest(events: &[Event]) -> Vec<[f32; 2]> {
    let two = |event: &Event| match event {
        Event::Token {
            logprobs: Some(logprobs),
            ..
        } => Some([0, 1].map(|place| logprobs.top[place].logprob)),
        _ => None,
    };
    events.iter().filter_map(two).collect()
}

/// Reads so many events and hangs up.
fn hang_up_after(count: usize, mut events: Events) {
    for _ in 0..count {
        assert!(!matches!(
            events.blocking_recv(),
            None | Some(Event::Finished(_) | Event::Failed(_))
        ));
    }
}

#[test]
fn mixed_requests_get_what_they_get_alone() {
    let adapters = adapters();
    let wanted = requests(REQUESTS, 1, &adapters);
    let alone: Vec<Vec<Event>> = wanted
        .iter()
        .map(|request| collect(start(false).submit(request.clone()).unwrap()))
        .collect();

    let engine = start(true);
    let mut cancelled = requests(CANCELLED, 2, &adapters).into_iter();
    let (mut together, mut hung_up, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (index, request) in wanted.iter().enumerate() {
        together.push(engine.submit(request.clone()).unwrap());
        if index % 2 == 1 {
            continue;
        }
        // Long ones, so that they are under way when nobody wants them any more: some for a given
        // number of events, some until other answers are complete.
        let request = Request {
            max_tokens: 120,
            ..cancelled.next().unwrap()
        };
        let events = engine.submit(request).unwrap();
        match index % 8 {
            0 => held.push(events),
            _ => hung_up.push(thread::spawn(move || hang_up_after(index % 19, events))),
        }
    }
    let (mut shared, mut noise, mut margin) = (0, 0f32, f32::INFINITY);
    for (index, (events, alone)) in together.into_iter().zip(&alone).enumerate() {
        let events = collect(events);
        held.pop();
        assert_eq!(tokens(&events), tokens(alone), "request {index}");
        assert_eq!(events.last(), alone.last(), "request {index}");
        for (ours, alone) in likeliest(&events).iter().zip(likeliest(alone)) {
            noise = noise.max((ours[0] - alone[0]).abs()).max((ours[1] - alone[1]).abs());
            margin = margin.min(alone[0] - alone[1]);
        }
        if let Some(Event::Prompt { cached, .. }) = events.first() {
            shared += cached;
        }
    }
    hung_up.into_iter().for_each(|one| one.join().unwrap());
    assert!(shared > 0, "no beginning was shared");
    assert!(engine.gauges.preemptions() > 0, "nothing had to make room");
    // Sums depend on the shapes of passes, in their last bits. That equal tokens are no luck: not the
    // closest choice could have been turned by as much as that.
    assert!(
        2.0 * noise < margin,
        "a choice hangs on {margin}, and sums differ by {noise}"
    );

    let mut distinct: Vec<_> = alone.iter().map(|events| tokens(events)).collect();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > REQUESTS / 2, "the answers are alike: {distinct:?}");
}
