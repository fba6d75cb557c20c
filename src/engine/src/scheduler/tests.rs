use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::{Dtype, Event, Gauges, ModelOptions, Ops, Request, engine_thread::Job, gauges::Place, logits::Logits};

fn scheduler(pages: usize, max_running: usize, max_tokens: usize) -> Scheduler {
    let options = EngineOptions {
        model: ModelOptions::plain(Dtype::Fp32, Ops::Own, 64),
        max_concurrent_sequences: max_running,
        max_batch_tokens: max_tokens,
        max_queue: 9,
        prefix_cache: true,
        kv_cache_tokens: None,
    };
    Scheduler::new(&options, Pages::new(pages, true))
}

/// A request whose prompt is `length` tokens that no other `seed` has.
fn sequence(user: &str, seed: u32, length: u32) -> (Sequence, UnboundedReceiver<Event>) {
    sequence_of(Request {
        prompt: (0..length).map(|i| seed * 1000 + i).collect(),
        max_tokens: 40,
        user: Some(user.into()),
        ..Request::default()
    })
}

fn sequence_of(request: Request) -> (Sequence, UnboundedReceiver<Event>) {
    let (sender, events) = unbounded_channel();
    let job = Job {
        request,
        events: sender,
        place: Place::take(&Arc::new(Gauges::default()), 1).unwrap(),
    };
    (Sequence::new(job, 64), events)
}

/// Computes a pass of no tensors, in which answers grow by a token; what was planned of it.
fn pass(scheduler: &mut Scheduler) -> Vec<(usize, usize, LogitRows)> {
    scheduler.admit();
    let planned = scheduler.plan();
    scheduler
        .advance(&planned, |sequence, segment| {
            assert!(segment.pages.len() * PAGE >= segment.end());
            let logits = tch::Tensor::zeros([1, 8], (tch::Kind::Float, tch::Device::Cpu));
            let logits = Logits::new(logits, &[]).unwrap();
            let rows = (segment.logits == LogitRows::Last).then(|| logits.rows(0, 1));
            sequence.advance(segment.tokens.len(), rows)
        })
        .unwrap();
    let facts = |(_, segment): &(usize, Segment)| (segment.start, segment.tokens.len(), segment.logits);
    planned.iter().map(facts).collect()
}

#[test]
fn answers_come_before_prompts_and_prompts_share_what_is_left() {
    let mut scheduler = scheduler(64, 4, 10);
    let (first, _events_a) = sequence("a", 1, 3);
    scheduler.push(first);
    assert_eq!(pass(&mut scheduler), [(0, 3, LogitRows::Last)]);
    let (second, _events_b) = sequence("b", 2, 5);
    let (third, _events_c) = sequence("c", 3, 9);
    scheduler.push(second);
    scheduler.push(third);
    let expected = [
        (3, 1, LogitRows::Last),
        (0, 5, LogitRows::Last),
        (0, 4, LogitRows::None),
    ];
    assert_eq!(pass(&mut scheduler), expected);
}

#[test]
fn the_latest_request_makes_room_and_comes_back() {
    // Four pages: two prompts of 30 fill them, and their answers need a third page each.
    let mut scheduler = scheduler(5, 4, 64);
    let (first, mut first_events) = sequence("a", 1, 30);
    let (second, mut second_events) = sequence("b", 2, 30);
    scheduler.push(first);
    scheduler.push(second);
    let mut together = 0;
    for _ in 0..120 {
        scheduler.admit();
        together = together.max(scheduler.running.len());
        pass(&mut scheduler);
        if scheduler.is_idle() {
            break;
        }
    }
    assert!(scheduler.is_idle());
    assert_eq!(together, 2);
    for events in [&mut first_events, &mut second_events] {
        let mut all = Vec::new();
        while let Ok(event) = events.try_recv() {
            all.push(event);
        }
        let prompts = all.iter().filter(|event| matches!(event, Event::Prompt { .. })).count();
        let tokens = all.iter().filter(|event| matches!(event, Event::Token { .. })).count();
        assert_eq!((prompts, tokens), (1, 34));
    }
    assert_eq!(scheduler.pages.available(), 5);
}

#[test]
fn a_prompt_waits_until_its_pages_are_there() {
    let mut scheduler = scheduler(4, 4, 64);
    let (first, events) = sequence("a", 1, 40);
    let (second, _second_events) = sequence("b", 2, 40);
    scheduler.push(first);
    scheduler.push(second);
    pass(&mut scheduler);
    assert_eq!(scheduler.running.len(), 1);
    drop(events);
    scheduler.forget_cancelled();
    assert_eq!(pass(&mut scheduler), [(0, 40, LogitRows::Last)]);
}

#[test]
fn an_equal_beginning_is_not_computed_again() {
    let mut scheduler = scheduler(16, 1, 64);
    let (first, events) = sequence("a", 1, 40);
    scheduler.push(first);
    pass(&mut scheduler);
    drop(events);
    let (second, mut events) = sequence("a", 1, 40);
    scheduler.push(second);
    scheduler.forget_cancelled();
    assert_eq!(pass(&mut scheduler), [(32, 8, LogitRows::Last)]);
    assert!(matches!(events.try_recv(), Ok(Event::Prompt { cached: 32, .. })));
}

#[test]
fn users_take_turns() {
    let mut scheduler = scheduler(64, 1, 64);
    let mut keep = Vec::new();
    for (user, seed) in [("a", 1), ("a", 2), ("a", 3), ("b", 4)] {
        let (sequence, events) = sequence(user, seed, 20);
        scheduler.push(sequence);
        keep.push(events);
    }
    let mut order = Vec::new();
    while !scheduler.is_idle() {
        pass(&mut scheduler);
        let user = scheduler.running.first().map(|sequence| sequence.user().to_owned());
        order.extend(user.filter(|user| order.last() != Some(user)));
    }
    assert_eq!(order, ["a", "b", "a"]);
}

#[test]
fn logits_of_prompts_have_so_many_rows_however_many_want_them() {
    let mut scheduler = scheduler(64, 8, 512);
    let prompts = [(Some(0), 40), (Some(0), 40), (None, 40), (Some(0), 40)];
    let mut events = Vec::new();
    for (seed, (prompt_logprobs, length)) in (1..).zip(prompts) {
        let (sequence, told) = sequence_of(Request {
            prompt: (0..length).map(|i| seed * 1000 + i).collect(),
            prompt_logprobs,
            ..Request::default()
        });
        scheduler.push(sequence);
        events.push(told);
    }
    scheduler.admit();
    let planned = scheduler.plan();
    let facts = planned
        .iter()
        .map(|(_, segment)| (segment.tokens.len(), segment.logits));
    let expected = [
        (40, LogitRows::All),
        (LOGIT_ROWS - 40, LogitRows::All),
        (40, LogitRows::Last),
    ];
    assert_eq!(facts.collect::<Vec<_>>(), expected);
}
