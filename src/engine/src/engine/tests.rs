//! The whole engine, on a tiny network.

mod faults;
mod gpu;
mod mixed;

use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::{
    Dtype, Event, Failure, FinishReason, Ops, Sampling, TokenConstraint, TokenMask, weights::tests::tiny_file,
};

fn options() -> EngineOptions {
    EngineOptions {
        model: ModelOptions::plain(Dtype::Fp32, Ops::Own, 64),
        max_concurrent_sequences: 2,
        max_batch_tokens: 16,
        max_queue: 3,
        prefix_cache: true,
        kv_cache_tokens: None,
    }
}

fn engine() -> Engine {
    Engine::start(tiny_file(&[]), options()).unwrap()
}

fn greedy(prompt: &[u32], max_tokens: usize) -> Request {
    Request {
        prompt: prompt.into(),
        max_tokens,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        ..Request::default()
    }
}

fn collect(mut events: Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = events.blocking_recv() {
        all.push(event);
    }
    all
}

fn tokens(events: &[Event]) -> Vec<u32> {
    let token = |event: &Event| match event {
        Event::Token { token, .. } => Some(*token),
        _ => None,
    };
    events.iter().filter_map(token).collect()
}

#[test]
fn requests_together_get_what_they_get_alone() {
    let engine = engine();
    let prompts: [Vec<u32>; 5] = [vec![1], (0..40).collect(), vec![9, 8, 7], vec![63; 20], vec![5, 6]];
    let alone: Vec<_> = prompts
        .iter()
        .map(|prompt| collect(engine.submit(greedy(prompt, 12)).unwrap()))
        .collect();
    let together: Vec<_> = prompts
        .iter()
        .map(|prompt| engine.submit(greedy(prompt, 12)).unwrap())
        .collect();
    let together: Vec<_> = together.into_iter().map(collect).collect();
    for (alone, events) in alone.iter().zip(&together) {
        assert_eq!(tokens(alone), tokens(events));
        assert_eq!(tokens(events).len(), 12);
        assert!(matches!(&events[0], Event::Prompt { logprobs, .. } if logprobs.is_empty()));
        assert_eq!(events.last(), Some(&Event::Finished(FinishReason::Length)));
    }
}

#[test]
fn a_cache_too_small_for_all_changes_no_answer() {
    let roomy = engine();
    let options = EngineOptions {
        max_concurrent_sequences: 4,
        kv_cache_tokens: Some(80),
        ..options()
    };
    let tight = Engine::start(tiny_file(&[]), options).unwrap();
    let prompts: Vec<Vec<u32>> = (0..4).map(|i| (i..i + 20).collect()).collect();
    let submit = |engine: &Engine, prompt: &[u32]| engine.submit(greedy(prompt, 40)).unwrap();
    let alone = prompts.iter().map(|prompt| collect(submit(&roomy, prompt)));
    let alone: Vec<_> = alone.collect();
    let together: Vec<_> = prompts.iter().map(|prompt| submit(&tight, prompt)).collect();
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(tokens(alone), tokens(&collect(together)));
    }
}

#[test]
fn a_beginning_is_shared_within_its_scope() {
    let engine = engine();
    let cached = |scope: Option<&str>, tokens: usize| {
        let request = Request {
            cache_scope: scope.map(Into::into),
            ..greedy(&vec![5; tokens], 1)
        };
        match &collect(engine.submit(request).unwrap())[0] {
            Event::Prompt { cached, .. } => *cached,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((cached(Some("a"), 40), cached(Some("a"), 60)), (0, 32));
    assert_eq!((cached(Some("b"), 40), cached(None, 40)), (0, 0));
    assert_eq!(cached(Some("a"), 33), 32);
}

#[test]
fn answers_end_at_stop_tokens_and_at_the_context() {
    let engine = engine();
    let free = tokens(&collect(engine.submit(greedy(&[3, 4], 20)).unwrap()));
    let stop = free[7];
    let before = free.iter().position(|token| *token == stop).unwrap();
    let request = Request {
        stop_tokens: vec![stop],
        ..greedy(&[3, 4], 20)
    };
    let stopped = collect(engine.submit(request).unwrap());
    assert_eq!(tokens(&stopped), free[..before]);
    assert_eq!(stopped.last(), Some(&Event::Finished(FinishReason::Stop)));

    let long = collect(engine.submit(greedy(&[1; 60], usize::MAX)).unwrap());
    assert_eq!(tokens(&long).len(), 4);
    assert_eq!(long.last(), Some(&Event::Finished(FinishReason::Length)));
}

#[test]
fn a_prompt_alone_gives_its_logprobs() {
    let engine = engine();
    let prompt: Vec<u32> = (0..40).collect();
    let request = Request {
        prompt_logprobs: Some(2),
        ..greedy(&prompt, 0)
    };
    let events = collect(engine.submit(request).unwrap());
    let Event::Prompt { logprobs, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(events[1..], [Event::Finished(FinishReason::Length)]);
    let chosen: Vec<u32> = logprobs.iter().map(|logprobs| logprobs.chosen.token).collect();
    assert_eq!(chosen, prompt[1..]);
    assert!(logprobs.iter().all(|logprobs| logprobs.top.len() == 2));

    // The answer's first token gets the same logprob as it gets as part of a prompt.
    let request = Request {
        logprobs: Some(0),
        ..greedy(&prompt, 1)
    };
    let events = collect(engine.submit(request).unwrap());
    let Event::Token { token, nll, logprobs } = &events[1] else {
        panic!("{events:?}")
    };
    let own = logprobs.as_ref().unwrap().chosen.logprob;
    assert!((nll + own).abs() < 1e-4, "{nll} and {own}");
    let longer: Vec<u32> = prompt.iter().copied().chain([*token]).collect();
    let request = Request {
        prompt_logprobs: Some(0),
        ..greedy(&longer, 0)
    };
    let events = collect(engine.submit(request).unwrap());
    let Event::Prompt {
        logprobs: of_prompt, ..
    } = &events[0]
    else {
        panic!("{events:?}")
    };
    let difference = of_prompt.last().unwrap().chosen.logprob - own;
    assert!(difference.abs() < 1e-4, "{difference}");
}

/// Allows one token only, so many times.
#[derive(Clone)]
struct Only(u32, usize);

impl TokenConstraint for Only {
    fn mask(&mut self, allowed: &mut TokenMask) -> Result<(), String> {
        allowed.allow(self.0);
        Ok(())
    }

    fn accept(&mut self, _: u32) -> Result<(), String> {
        self.1 = self.1.checked_sub(1).ok_or("too many")?;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.1 == 0
    }

    fn duplicate(&self) -> Box<dyn TokenConstraint> {
        Box::new(self.clone())
    }
}

#[test]
fn constraints_shape_an_answer_and_fail_alone() {
    let engine = engine();
    let constrained = |only: Only| Request {
        constraint: Some(Box::new(only)),
        ..greedy(&[3, 4], 20)
    };
    let good = engine.submit(constrained(Only(7, 3))).unwrap();
    let bad = engine.submit(constrained(Only(99, 3))).unwrap();
    let (good, bad) = (collect(good), collect(bad));
    assert_eq!(tokens(&good), [7, 7, 7]);
    assert_eq!(good.last(), Some(&Event::Finished(FinishReason::Stop)));
    assert!(
        matches!(bad.last(), Some(Event::Failed(Failure::Constraint(_)))),
        "{bad:?}"
    );
    let free = collect(engine.submit(greedy(&[3, 4], 3)).unwrap());
    assert_eq!(free.last(), Some(&Event::Finished(FinishReason::Length)));
}

#[test]
fn what_cannot_be_answered_is_refused_at_once() {
    let engine = engine();
    assert_eq!(engine.submit(greedy(&[], 1)).unwrap_err(), SubmitError::EmptyPrompt);
    let (prompt, context) = (64, 64);
    assert_eq!(
        engine.submit(greedy(&[1; 64], 1)).unwrap_err(),
        SubmitError::TooLong { prompt, context }
    );
    assert!(engine.submit(greedy(&[1; 64], 0)).is_ok());
    let (token, vocabulary) = (64, 64);
    assert_eq!(
        engine.submit(greedy(&[64], 1)).unwrap_err(),
        SubmitError::UnknownToken { token, vocabulary }
    );
}

#[test]
fn the_queue_is_bounded_and_those_who_hang_up_make_room() {
    let engine = engine();
    // Two are computed, three wait.
    let taken: Vec<_> = (0..5).map(|_| engine.submit(greedy(&[1], 60)).unwrap()).collect();
    let refused = engine.submit(greedy(&[1], 60)).unwrap_err();
    assert!(matches!(refused, SubmitError::QueueFull { .. }), "{refused}");
    drop(taken);
    let events = loop {
        match engine.submit(greedy(&[1], 3)) {
            Ok(events) => break events,
            Err(SubmitError::QueueFull { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(tokens(&collect(events)).len(), 3);
}

#[test]
fn an_engine_that_nobody_holds_answers_what_it_took_and_ends() {
    let engine = engine();
    let gauges = engine.gauges.clone();
    let mut events = engine.submit(greedy(&[1], 5)).unwrap();
    drop(engine);
    let mut last = None;
    loop {
        match events.try_recv() {
            Ok(event) => last = Some(event),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    assert_eq!(last, Some(Event::Finished(FinishReason::Length)));
    while !gauges.has_stopped() {
        std::thread::yield_now();
    }
}

#[test]
fn options_that_do_not_fit_the_model_are_named() {
    let refused = |options: EngineOptions| Engine::start(tiny_file(&[]), options).err().unwrap().to_string();
    let longer = refused(EngineOptions {
        model: ModelOptions::plain(Dtype::Fp32, Ops::Own, 129),
        ..options()
    });
    assert!(longer.contains("longer than the 128"), "{longer}");
    let narrow = refused(EngineOptions {
        max_batch_tokens: 1,
        ..options()
    });
    assert!(narrow.contains("no room"), "{narrow}");
    let elsewhere = refused(EngineOptions {
        model: ModelOptions {
            device: Device::Cuda(4096),
            ..ModelOptions::plain(Dtype::Fp32, Ops::Aten, 64)
        },
        ..options()
    });
    assert!(elsewhere.contains("no CUDA device"), "{elsewhere}");
}

#[test]
fn adapters_of_requests_together_answer_as_alone() {
    use crate::lora::{Adapter, Projection, testing::tiny};

    let engine = engine();
    let without_cache = EngineOptions {
        prefix_cache: false,
        ..options()
    };
    let alone = Engine::start(tiny_file(&[]), without_cache).unwrap();
    let load = |rank, alpha| {
        let directory = tiny(rank, alpha, &Projection::ALL);
        Arc::new(Adapter::load(directory.path(), engine.config(), Dtype::Fp32).unwrap())
    };
    let adapters = [None, Some(load(1, 16.0)), Some(load(4, 16.0))];
    // Prompts of more than a page that begin alike: what is cached of one must not serve another adapter.
    let request = |index: usize| Request {
        adapter: adapters[index % 3].clone(),
        ..greedy(&[[1; 20].as_slice(), &[index as u32 / 3]].concat(), 8)
    };
    let mut answers = [Vec::new(), Vec::new(), Vec::new()];
    // The queue holds three.
    for round in 0..3 {
        let round = 3 * round..3 * round + 3;
        let together: Vec<_> = round
            .clone()
            .map(|index| engine.submit(request(index)).unwrap())
            .collect();
        let together: Vec<_> = together.into_iter().map(|events| tokens(&collect(events))).collect();
        let alone: Vec<_> = round
            .map(|index| tokens(&collect(alone.submit(request(index)).unwrap())))
            .collect();
        assert_eq!(alone, together);
        answers.iter_mut().zip(alone).for_each(|(all, one)| all.extend(one));
    }
    let [base, small, large] = answers;
    assert!(
        base != small && base != large && small != large,
        "the adapters change nothing"
    );
}
