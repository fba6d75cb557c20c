use rstest::rstest;

use super::*;

fn sampler(change: impl FnOnce(&mut Sampling)) -> Sampler {
    let mut sampling = Sampling {
        seed: Some(1),
        ..Sampling::default()
    };
    change(&mut sampling);
    Sampler::new(sampling, None, &[])
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    logits.iter().map(|logit| logit.exp()).sum::<f32>().ln()
}

/// Chooses a token and makes it part of the answer.
fn next(sampler: &mut Sampler, logits: &[f32]) -> u32 {
    let (token, nll) = sampler.choose(logits, log_sum_exp(logits)).unwrap();
    assert!((nll - (log_sum_exp(logits) - logits[token as usize])).abs() < 1e-4);
    sampler.accept(token).unwrap();
    token
}

/// How often each of the tokens comes in 4000 draws.
fn shares(sampler: &mut Sampler, logits: &[f32]) -> Vec<f32> {
    let mut counts = vec![0u16; logits.len()];
    for _ in 0..4000 {
        counts[next(sampler, logits) as usize] += 1;
    }
    counts.into_iter().map(|count| f32::from(count) / 4000.0).collect()
}

#[test]
fn temperature_zero_takes_the_likeliest() {
    assert_eq!(
        shares(&mut sampler(|s| s.temperature = 0.0), &[0.0, 2.0, 1.0]),
        [0.0, 1.0, 0.0]
    );
}

#[rstest]
#[case(1.0, [0.25, 0.75])]
#[case(0.5, [0.1, 0.9])]
fn draws_follow_the_tempered_probabilities(#[case] temperature: f32, #[case] expected: [f32; 2]) {
    let shares = shares(&mut sampler(|s| s.temperature = temperature), &[0.0, 3f32.ln()]);
    assert!(
        shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.03),
        "{shares:?}"
    );
}

#[test]
fn top_k_and_top_p_cut_the_tail() {
    // Probabilities 0.1, 0.4, 0.2, 0.3.
    let logits = [0.1f32, 0.4, 0.2, 0.3].map(f32::ln);
    let kept = |mut sampler: Sampler| {
        let shares = shares(&mut sampler, &logits);
        shares.iter().map(|share| *share > 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(sampler(|s| s.top_k = 2)), [false, true, false, true]);
    assert_eq!(kept(sampler(|s| s.top_p = 0.69)), [false, true, false, true]);
    assert_eq!(kept(sampler(|s| s.top_p = 0.01)), [false, true, false, false]);
    // 0.4 is 57 % of what top-k leaves.
    let both = |s: &mut Sampling| (s.top_k, s.top_p) = (2, 0.5);
    assert_eq!(kept(sampler(both)), [false, true, false, false]);
}

#[test]
fn min_p_is_a_share_of_the_likeliest() {
    let logits = [0.1f32, 0.4, 0.2, 0.3].map(f32::ln);
    let shares = shares(&mut sampler(|s| s.min_p = 0.6), &logits);
    assert_eq!((shares[0], shares[2]), (0.0, 0.0));
    assert!((shares[1] - 0.4 / 0.7).abs() < 0.03, "{shares:?}");
}

#[test]
fn biases_move_tokens() {
    let likeliest = |bias| {
        next(
            &mut sampler(|s| (s.temperature, s.logit_bias) = (0.0, bias)),
            &[1.0, 0.5],
        )
    };
    assert_eq!(likeliest(vec![]), 0);
    assert_eq!(likeliest(vec![(0, -100.0)]), 1);
    assert_eq!(likeliest(vec![(1, 0.75), (9, 100.0)]), 1);
}

#[test]
fn repetition_is_penalized_over_prompt_and_answer() {
    let sampling = Sampling {
        temperature: 0.0,
        repetition_penalty: 2.0,
        ..Sampling::default()
    };
    let mut sampler = Sampler::new(sampling, None, &[0]);
    // 2.0 of the prompt's token counts as 1.0, the -1.0 that was never said stays ahead of -2.0.
    assert_eq!(next(&mut sampler, &[2.0, 1.5, -3.0]), 1);
    assert_eq!(next(&mut sampler, &[2.0, 1.5, -3.0]), 0);
    assert_eq!(next(&mut sampler, &[-1.0, -1.0, -1.5]), 2);
}

#[test]
fn logits_that_are_no_numbers_fail() {
    let mut sampler = sampler(|_| ());
    for wrong in [f32::NAN, f32::INFINITY] {
        let logits = [0.0, wrong];
        assert_eq!(sampler.choose(&logits, log_sum_exp(&logits)), Err(Failure::NotFinite));
    }
}

/// Even and odd tokens in turn, four of them.
struct Alternating(u32);

impl TokenConstraint for Alternating {
    fn mask(&mut self, allowed: &mut TokenMask) -> Result<(), String> {
        (0..10)
            .filter(|token| token % 2 == self.0 % 2)
            .for_each(|token| allowed.allow(token));
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        if token % 2 != self.0 % 2 {
            return Err(format!("{token} is wrong"));
        }
        self.0 += 1;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.0 == 4
    }

    fn duplicate(&self) -> Box<dyn TokenConstraint> {
        Box::new(Self(self.0))
    }
}

#[test]
fn constraints_decide_before_probabilities() {
    let mut sampler = Sampler::new(Sampling::default(), Some(Box::new(Alternating(0))), &[]);
    let mut logits = [0.0; 10];
    logits[1] = 50.0;
    for step in 0..4 {
        let (token, nll) = sampler.choose(&logits, log_sum_exp(&logits)).unwrap();
        assert_eq!(token % 2, step % 2);
        assert!(token == 1 || nll > 49.0, "the model's own distribution counts: {nll}");
        assert_eq!(sampler.accept(token), Ok(step == 3));
    }
    assert_eq!(sampler.accept(1), Err(Failure::Constraint("1 is wrong".into())));
    // Nothing of a vocabulary of one is odd.
    sampler.constraint = Some(Box::new(Alternating(1)));
    assert!(matches!(sampler.choose(&[0.0], 0.0), Err(Failure::Constraint(_))));
}

#[test]
fn a_flat_distribution_needs_more_than_the_first_candidates() {
    let mut sampler = sampler(|s| s.top_p = 0.9);
    let drawn: Vec<u32> = (0..2000).map(|_| next(&mut sampler, &[0.0; 5000])).collect();
    assert!(drawn.iter().any(|token| *token > 4000));
    assert!(drawn.iter().all(|token| *token < 4501), "ties go to the lower token");
}

#[test]
fn penalties_count_what_was_chosen() {
    let mut sampler = sampler(|s| (s.temperature, s.frequency_penalty, s.presence_penalty) = (0.0, 0.4, 0.3));
    let chosen: Vec<u32> = (0..5).map(|_| next(&mut sampler, &[1.0, 0.0])).collect();
    // 1.0, 0.3, then -0.1 < 0.0; after it 0.0 - 0.7.
    assert_eq!(chosen, [0, 0, 1, 0, 0]);
}

#[test]
fn equal_seeds_choose_equally() {
    let draw = |seed| {
        let mut sampler = sampler(|s| s.seed = Some(seed));
        (0..20).map(|_| next(&mut sampler, &[0.0; 1000])).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}
