//! Whatever goes wrong in one request, the engine goes on for all others.

use std::io::Write as _;

use gguf::{GgmlType, GgufFile, write};

use super::*;
use crate::lora::{
    Adapter, Projection,
    testing::{description, module, tiny_model},
    write as write_adapter,
};

/// Where a constraint panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Mask,
    Accept,
    Complete,
    Drop,
}

/// Allows every token, and panics.
#[derive(Clone)]
struct Panics(At);

impl Panics {
    fn if_at(&self, place: At) {
        assert!(self.0 != place, "the constraint panics at {place:?}");
    }
}

impl TokenConstraint for Panics {
    fn mask(&mut self, allowed: &mut TokenMask) -> Result<(), String> {
        self.if_at(At::Mask);
        (0..64).for_each(|token| allowed.allow(token));
        Ok(())
    }

    fn accept(&mut self, _: u32) -> Result<(), String> {
        self.if_at(At::Accept);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.if_at(At::Complete);
        false
    }

    fn duplicate(&self) -> Box<dyn TokenConstraint> {
        Box::new(self.clone())
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.if_at(At::Drop);
    }
}

fn panics(at: At) -> Request {
    Request {
        constraint: Some(Box::new(Panics(at))),
        ..greedy(&[3, 4], 5)
    }
}

/// What the engine answers while nothing is wrong.
fn expected(engine: &Engine) -> Vec<Event> {
    let events = collect(engine.submit(greedy(&[9, 8, 7], 20)).unwrap());
    assert_eq!(events.last(), Some(&Event::Finished(FinishReason::Length)));
    events
}

fn failure(events: &[Event]) -> &Failure {
    match events.last() {
        Some(Event::Failed(failure)) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn a_constraint_that_panics_fails_its_request_alone() {
    let engine = engine();
    let expected = expected(&engine);
    for at in [At::Mask, At::Accept, At::Complete] {
        // Two are computed, the rest waits.
        let beside = engine.submit(greedy(&[9, 8, 7], 20)).unwrap();
        let bad = engine.submit(panics(at)).unwrap();
        let waiting = [(); 3].map(|()| engine.submit(greedy(&[9, 8, 7], 20)).unwrap());
        let bad = collect(bad);
        let Failure::Constraint(reason) = failure(&bad) else {
            panic!("{bad:?}")
        };
        assert!(reason.contains("panicked"), "{at:?}: {reason}");
        for events in [beside].into_iter().chain(waiting) {
            assert_eq!(tokens(&collect(events)), tokens(&expected), "{at:?}");
        }
    }
    assert!(!engine.gauges.has_stopped());
}

/// Whatever is under way when a pass breaks may fail with it; what waits may not.
fn breaks_a_pass(engine: &Engine, bad: Request) -> (Vec<Event>, Vec<Event>) {
    let expected = expected(engine);
    let bad = engine.submit(bad).unwrap();
    let others = [(); 4].map(|()| engine.submit(greedy(&[9, 8, 7], 20)).unwrap());
    let bad = collect(bad);
    let mut failed = Vec::new();
    for events in others {
        let events = collect(events);
        match events.last() {
            Some(Event::Failed(_)) => failed.push(events),
            _ => assert_eq!(tokens(&events), tokens(&expected)),
        }
    }
    // At most one was computed beside it.
    assert!(failed.len() <= 1, "{failed:?}");
    assert_eq!(tokens(&self::expected(engine)), tokens(&expected));
    assert!(!engine.gauges.has_stopped());
    assert_eq!(engine.gauges.waiting(), 0);
    (bad, failed.pop().unwrap_or_default())
}

#[test]
fn a_pass_that_libtorch_refuses_fails_what_is_under_way_and_no_more() {
    let engine = engine();
    // An adapter of a wider network: the products of the pass do not fit.
    let mut wider = tiny_model();
    wider.hidden_size = 64;
    let modules = [module(0, Projection::Query, 4, &wider)];
    let directory = tempfile::tempdir().unwrap();
    let mut description = description(4, 8.0, &[Projection::Query]);
    description.layers = Some(vec![0]);
    write_adapter(directory.path(), &description, &modules).unwrap();
    let adapter = Adapter::load(directory.path(), &wider, Dtype::Fp32).unwrap();
    let bad = Request {
        adapter: Some(Arc::new(adapter)),
        ..greedy(&[3, 4], 5)
    };
    let (bad, _) = breaks_a_pass(&engine, bad);
    let Failure::Computation(reason) = failure(&bad) else {
        panic!("{bad:?}")
    };
    assert!(reason.contains("shape"), "{reason}");
}

#[test]
fn a_panic_in_a_pass_fails_what_is_under_way_and_no_more() {
    let engine = engine();
    let (bad, beside) = breaks_a_pass(&engine, panics(At::Drop));
    // It was complete: what panicked came after.
    assert_eq!(bad.last(), Some(&Event::Finished(FinishReason::Length)));
    if !beside.is_empty() {
        let fault = Failure::Computation("the engine met a fault of its own".into());
        assert_eq!(failure(&beside), &fault);
    }
}

const DAMAGED: u32 = 13;

/// The tiny network with a head of its own, and an embedding whose row [`DAMAGED`] is no number.
fn damaged() -> checkpoint::Checkpoint {
    let file = tiny_file(&[]);
    let metadata: Vec<_> = file.header().metadata.iter().collect();
    let metadata: Vec<_> = metadata.into_iter().map(|(key, value)| (key, value.clone())).collect();
    let read = |info: &gguf::TensorInfo| write::Tensor {
        name: info.name.clone(),
        shape: info.shape.clone(),
        ggml_type: GgmlType::F32,
        bytes: file.read_tensor(info).unwrap(),
    };
    let mut tensors: Vec<_> = file.header().tensors.iter().map(read).collect();
    let embedding = tensors
        .iter_mut()
        .find(|tensor| tensor.name == "token_embd.weight")
        .unwrap();
    let head = write::Tensor {
        name: "output.weight".into(),
        ..embedding.clone()
    };
    let row = 4 * embedding.shape[1] as usize;
    let nan = f32::NAN.to_le_bytes().repeat(row / 4);
    embedding.bytes[DAMAGED as usize * row..][..row].copy_from_slice(&nan);
    tensors.push(head);
    let mut out = tempfile::tempfile().unwrap();
    out.write_all(&write::to_bytes(&metadata, &tensors)).unwrap();
    GgufFile::from_file(out).unwrap().into()
}

#[test]
fn logits_that_are_no_numbers_fail_their_request_alone() {
    // Prompts are computed whole: the damage is in the same pass as the page before it.
    let options = EngineOptions {
        max_batch_tokens: 64,
        ..options()
    };
    let engine = Engine::start(damaged(), options).unwrap();
    let healthy = self::engine();
    let expected = expected(&healthy);
    // Both begin with the same page, which must not be shared once the damage has reached it.
    let begin = [1; 20];
    let after = |last: &[u32]| greedy(&[&begin[..], last].concat(), 12);
    let alone = collect(healthy.submit(after(&[2])).unwrap());
    for prompt_logprobs in [None, Some(0)] {
        let bad = Request {
            prompt_logprobs,
            ..after(&[DAMAGED, 2])
        };
        let bad = engine.submit(bad).unwrap();
        let others = [(); 4].map(|()| engine.submit(greedy(&[9, 8, 7], 20)).unwrap());
        let bad = collect(bad);
        assert_eq!(failure(&bad), &Failure::NotFinite);
        assert!(tokens(&bad).is_empty());
        for events in others {
            assert_eq!(tokens(&collect(events)), tokens(&expected));
        }
        let same_beginning = collect(engine.submit(after(&[2])).unwrap());
        assert_eq!(tokens(&same_beginning), tokens(&alone), "{:?}", same_beginning.last());
    }
    assert_eq!(engine.gauges.waiting(), 0);
}
