//! What is learned from, with every default filled in. Places are added when pods are built.

use api::finetunejob::{self, Dataset, DatasetFormat};
use protocol::tune;

use super::number::{decimal, natural, percent};

const VALIDATION: f64 = 0.05;
const SEED: u64 = 42;

/// What a record looks like.
pub fn format(format: DatasetFormat) -> tune::DataFormat {
    match format {
        DatasetFormat::Chat => tune::DataFormat::Chat,
        DatasetFormat::PromptCompletion => tune::DataFormat::PromptCompletion,
        DatasetFormat::Preference => tune::DataFormat::Preference,
        DatasetFormat::Text => tune::DataFormat::Text,
    }
}

/// Cleaning.
///
/// # Errors
/// The first field that makes no sense.
pub fn stages(prepare: Option<&finetunejob::Prepare>) -> Result<tune::Stages, String> {
    let Some(given) = prepare else {
        return Ok(tune::Stages::default());
    };
    let share = |name: &str, text: &Option<String>| {
        let field = format!("spec.dataset.prepare.quality.{name}");
        text.as_ref().map(|text| percent(&field, text)).transpose()
    };
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok());
    let quality = given.quality.as_ref().map(|quality| {
        Ok::<_, String>(tune::Quality {
            min_words: count(quality.min_words),
            max_words: count(quality.max_words),
            max_symbols: share("maxSymbols", &quality.max_symbols)?,
            max_repeated_lines: share("maxRepeatedLines", &quality.max_repeated_lines)?,
        })
    });
    Ok(tune::Stages {
        normalize_unicode: given.normalize_unicode,
        punctuation: given.punctuation,
        language: given.language.clone(),
        quality: quality.transpose()?,
        pii: match given.pii {
            finetunejob::PersonalData::Keep => tune::PersonalData::Keep,
            finetunejob::PersonalData::Redact => tune::PersonalData::Redact,
            finetunejob::PersonalData::Drop => tune::PersonalData::Drop,
        },
        dedup: given.dedup.as_ref().map(dedup).transpose()?.unwrap_or_default(),
    })
}

fn dedup(given: &finetunejob::Dedup) -> Result<tune::Dedup, String> {
    let minhash = given.minhash.as_ref().map(|minhash| {
        Ok::<_, String>(tune::MinHash {
            threshold: decimal("spec.dataset.prepare.dedup.minhash.threshold", &minhash.threshold)?,
            shingle: u32::try_from(minhash.shingle).unwrap_or(1),
        })
    });
    Ok(tune::Dedup {
        exact: given.exact,
        minhash: minhash.transpose()?,
    })
}

/// Parts held back.
///
/// # Errors
/// When nothing would be left to learn from.
pub fn split(dataset: &Dataset) -> Result<tune::Split, String> {
    let Some(given) = &dataset.split else {
        return Ok(tune::Split {
            validation: VALIDATION,
            test: 0.0,
            seed: SEED,
        });
    };
    let split = tune::Split {
        validation: percent("spec.dataset.split.validation", &given.validation)?,
        test: percent("spec.dataset.split.test", &given.test)?,
        seed: natural(given.seed),
    };
    if split.validation + split.test >= 1.0 {
        return Err(
            "spec.dataset.split leaves nothing to learn from: validation and test must be less than 100% together"
                .into(),
        );
    }
    Ok(split)
}

/// Sources whose content this release cannot bring into a pod as asked.
pub fn unsupported(dataset: &Dataset) -> Vec<String> {
    let mut fields = Vec::new();
    for source in &dataset.sources {
        let field = |name: &str| format!("spec.dataset.sources[{}].{name}", source.name);
        if let Some(oci) = &source.oci {
            fields.extend(oci.is_artifact().then(|| field("oci.type Artifact")));
            fields.extend(oci.sha256.as_ref().map(|_| field("oci.sha256")));
        }
        let pinned = source.pvc.as_ref().and_then(|pvc| pvc.sha256.as_ref());
        fields.extend(pinned.map(|_| field("pvc.sha256")));
        fields.extend(source.room.as_ref().map(|_| field("room")));
        fields.extend(source.feedback.as_ref().map(|_| field("feedback")));
    }
    fields
}
