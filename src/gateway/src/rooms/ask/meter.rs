//! How many tokens a text has, without the model's tokenizer.

/// At least as many as tokenizers of larger vocabularies make of it: three bytes of one, and each sign of scripts that
/// have many. An estimate that is too high leaves a chunk out; one that is too low, and the model refuses.
pub fn tokens(text: &str) -> usize {
    let others = text.chars().filter(|letter| *letter as u32 >= 0x2E80).count();
    text.len().div_ceil(3).max(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_rather_high() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("The notice period is one month."), 11);
        assert_eq!(tokens("通知期間"), 4);
    }
}
