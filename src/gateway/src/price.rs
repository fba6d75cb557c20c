//! What answers of hosted models cost.

use api::llmmodel::Pricing;

use crate::usage::Usage;

/// Prices of single tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    input: f64,
    output: f64,
}

impl Price {
    /// The prices of a spec, if they are numbers.
    pub fn of(pricing: &Pricing) -> Option<Self> {
        let million = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|price| price.is_finite() && *price >= 0.0)
        };
        Some(Self {
            input: million(&pricing.input_per_million)? / 1e6,
            output: million(&pricing.output_per_million)? / 1e6,
        })
    }

    /// The price of one answer.
    pub fn of_answer(&self, usage: Usage) -> f64 {
        self.input * usage.prompt_tokens as f64 + self.output * usage.completion_tokens as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pricing(input: &str, output: &str) -> Pricing {
        Pricing {
            input_per_million: input.into(),
            output_per_million: output.into(),
            currency: "EUR".into(),
        }
    }

    #[test]
    fn tokens_are_paid_by_the_million() {
        let price = Price::of(&pricing("0.15", "6e-1")).unwrap();
        let cost = price.of_answer(Usage {
            prompt_tokens: 2_000_000,
            completion_tokens: 500_000,
        });
        assert!((cost - 0.6).abs() < 1e-12, "{cost}");
    }

    #[test]
    fn what_is_no_price_is_not_reckoned() {
        assert_eq!(Price::of(&pricing("1e999", "1")), None);
        assert_eq!(Price::of(&pricing("1", "-1")), None);
    }
}
