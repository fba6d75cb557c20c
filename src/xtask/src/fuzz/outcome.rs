//! What a run of libFuzzer says at its end.

/// One target's run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Inputs that were tried.
    executions: u64,
    /// Edges of the program that they reached.
    coverage: u64,
    /// The file with the input that ended the run.
    pub finding: Option<String>,
}

impl Outcome {
    /// Names of the columns of [`Outcome::row`].
    pub const HEAD: &'static str = "target              executions     edges  finding";

    /// Reads what the run wrote to standard error.
    pub fn read(log: &str) -> Self {
        let mut outcome = Self::default();
        for line in log.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |name: &str| {
                let place = words.iter().position(|word| *word == name)?;
                words.get(place + 1)?.parse::<u64>().ok()
            };
            if let Some(count) = words.first().and_then(|word| word.strip_prefix('#')) {
                outcome.executions = count.parse().unwrap_or(outcome.executions);
                outcome.coverage = after("cov:").unwrap_or(outcome.coverage);
            }
            if let Some(count) = after("stat::number_of_executed_units:") {
                outcome.executions = count;
            }
            if let Some((_, file)) = line.split_once("Test unit written to ") {
                outcome.finding = Some(file.trim().into());
            }
        }
        outcome
    }

    /// One line of a table.
    pub fn row(&self, name: &str) -> String {
        let finding = match &self.finding {
            Some(_) => "yes",
            None => "none",
        };
        format!("{name:<16} {:>13} {:>9}  {finding}", self.executions, self.coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 10 ft: 11 corp: 1/1b\n#4096\tpulse  cov: 12 ft: 20\n\
            #5000\tDONE   cov: 13 ft: 21 corp: 3/4b\nstat::number_of_executed_units: 5001\n";
        let outcome = Outcome::read(log);
        assert_eq!(
            (outcome.executions, outcome.coverage, outcome.finding),
            (5001, 13, None)
        );
    }

    #[test]
    fn a_finding_is_read() {
        let log = "#7\tNEW    cov: 2 ft: 2\n==1== ERROR: libFuzzer: deadly signal\n\
            artifact_prefix='/a/'; Test unit written to /a/crash-1f\nBase64: AA==\n";
        let outcome = Outcome::read(log);
        assert_eq!(outcome.finding.as_deref(), Some("/a/crash-1f"));
        assert_eq!(outcome.coverage, 2);
    }
}
