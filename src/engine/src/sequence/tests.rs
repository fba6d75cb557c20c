use std::sync::Arc;

use tch::{Device, Kind, Tensor};
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::{Gauges, logits::Logits};

#[test]
fn logits_that_are_no_numbers_end_the_request_and_free_its_place() {
    let gauges = Arc::new(Gauges::default());
    let (events, mut received) = unbounded_channel();
    let job = Job {
        request: Request {
            prompt: vec![1, 2],
            max_tokens: 5,
            ..Request::default()
        },
        events,
        place: Place::take(&gauges, 1).unwrap(),
    };
    let mut sequence = Sequence::new(job, 64);
    let logits = Logits::new(Tensor::full([1, 8], f64::NAN, (Kind::Float, Device::Cpu)), &[]).unwrap();
    assert!(sequence.advance(2, Some(logits.rows(0, 1))).unwrap());
    assert!(matches!(received.try_recv().unwrap(), Event::Prompt { .. }));
    assert_eq!(received.try_recv().unwrap(), Event::Failed(Failure::NotFinite));
    assert_eq!(gauges.waiting(), 0);
}
