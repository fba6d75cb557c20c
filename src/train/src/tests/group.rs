//! Two processes learn what one does with the batches of both.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use protocol::tune::Method;
use rstest::rstest;

use crate::{
    Error, Trainer,
    collective::{Alone, Group, Lost},
    testing::{plan, texts, tiny},
};

/// One of two, in threads.
struct Two {
    rank: usize,
    to: Sender<Vec<f32>>,
    from: Receiver<Vec<f32>>,
}

fn two() -> [Two; 2] {
    let ((to_one, from_zero), (to_zero, from_one)) = (channel(), channel());
    let zero = Two {
        rank: 0,
        to: to_one,
        from: from_one,
    };
    let one = Two {
        rank: 1,
        to: to_zero,
        from: from_zero,
    };
    [zero, one]
}

impl Group for Two {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        2
    }

    fn all_reduce(&mut self, values: &mut [f32]) -> Result<(), Lost> {
        let lost = |_| Lost {
            rank: 1 - self.rank,
            why: "its thread ended".into(),
        };
        let sent = self.to.send(values.to_vec());
        sent.map_err(|error| lost(error.to_string()))?;
        let theirs = self.from.recv().map_err(|error| lost(error.to_string()))?;
        assert_eq!(theirs.len(), values.len());
        for (mine, theirs) in values.iter_mut().zip(theirs) {
            *mine += theirs;
        }
        Ok(())
    }

    fn broadcast(&mut self, _bytes: &mut Vec<u8>) -> Result<(), Lost> {
        Ok(())
    }
}

fn trainer(method: Method) -> Trainer {
    let mut plan = plan(method);
    plan.hyperparameters.learning_rate = 2e-3;
    Trainer::new(tiny("llama"), &plan, 100).unwrap()
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::Full)]
fn two_are_as_one(#[case] method: Method) {
    let step = |trainer: &mut Trainer, batches: &[i64], group: &mut dyn Group| {
        let work: Vec<_> = batches.iter().map(|first| texts(*first % 30)).collect();
        trainer.step(&work, group).unwrap()
    };
    let members = two().map(|mut group| {
        thread::spawn(move || {
            let mut trainer = trainer(method);
            let of = |first: i64| step(&mut trainer, &[2 * first + group.rank as i64], &mut group);
            (0..50i64).map(of).collect::<Vec<_>>()
        })
    });
    let [zero, one] = members.map(|member| member.join().unwrap());
    assert_eq!(zero, one, "the two do not agree");
    let mut alone = trainer(method);
    for (first, both) in zero.iter().enumerate() {
        let first = 2 * first as i64;
        let single = step(&mut alone, &[first, first + 1], &mut Alone);
        assert!((single.loss - both.loss).abs() < 1e-4, "{first}: {single:?} {both:?}");
        assert_eq!((single.tokens, single.weight), (both.tokens, both.weight));
    }
    assert!(zero[49].loss < zero[0].loss);
}

#[test]
fn a_broken_batch_of_one_is_an_error_of_both() {
    let members = two().map(|mut group| {
        thread::spawn(move || {
            let mut trainer = trainer(Method::LoRA);
            if group.rank == 1 {
                trainer.poison_for_tests();
            }
            trainer.step(&[texts(1), texts(2)], &mut group).unwrap_err()
        })
    });
    for member in members {
        let error = member.join().unwrap();
        assert!(matches!(error, Error::NotFinite { step: 0, batch: 2 }), "{error}");
    }
}

#[test]
fn a_lost_member_is_told_of() {
    let [mut zero, one] = two();
    drop(one);
    let error = trainer(Method::LoRA).step(&[texts(1)], &mut zero).unwrap_err();
    assert!(matches!(error, Error::Lost(Lost { rank: 1, .. })), "{error}");
}
