//! Whether a verdict has become unlikely.

use crate::{Monitor, normal};

/// The probability of a verdict below which a comparison is given up.
pub(crate) const FUTILE: f64 = 0.02;

/// How likely one metric's bounds are to lie beyond the margin at the last pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outlook {
    pub not_worse: f64,
    pub worse: f64,
}

/// The predictive probability of either finding after `most` pairs, at `alpha` and, for worse, at `alpha_worse`;
/// none while too little is known to say.
///
/// The mean at the last pair differs from that of now by chance alone, with the variance `s^2 (1/n - 1/N)` if all
/// that is known of the true mean is what was seen (predictive power: Spiegelhalter, Freedman, Blackburn 1986,
/// Controlled Clinical Trials 7). The bound of then is that of the mixture at the deviation `s` of now.
///
/// Giving up is neither Promote nor Reject, so it makes neither of them wrong more often; it only costs power,
/// and the less the smaller [`FUTILE`] is.
pub(crate) fn outlook(monitor: &Monitor, most: f64, alpha: f64, alpha_worse: f64) -> Option<Outlook> {
    let (mean, deviation) = monitor.slack(alpha)?;
    let pairs = monitor.pairs() as f64;
    let chance = deviation * (1.0 / pairs - 1.0 / most).max(0.0).sqrt();
    let likely = |mean: f64, alpha: f64| {
        let clear = mean - deviation * monitor.mixture.radius(most, alpha);
        if chance > 0.0 {
            normal::cumulative(clear / chance)
        } else {
            f64::from(u8::from(clear > 0.0))
        }
    };
    Some(Outlook {
        not_worse: likely(mean, alpha),
        worse: likely(-mean, alpha_worse),
    })
}
