//! Which of the files at a source make up the model, or the adapter.

use std::path::{Path, PathBuf};

/// A file that a source lists.
pub(crate) trait Listed {
    /// Its path inside the source.
    fn path(&self) -> &str;
}

/// What is looked for where nobody names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The one model that is there.
    Model,
    /// The adapter at the root, in the files that PEFT writes.
    Adapter,
}

/// The files of an adapter.
pub(crate) const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// Longest path of a file, in bytes.
const MAX_PATH: usize = 1024;

/// Whether a path that somebody else made up stays inside of the directory that it is used in.
pub(crate) fn is_inside(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
    path.len() <= MAX_PATH && path.split('/').all(plain)
}

const SAFETENSORS: &str = ".safetensors";
const GGUF: &str = ".gguf";
/// Names that a message lists at most.
const MAX_LISTED: usize = 10;

/// The files that `patterns` name, or those of the one thing that is looked for. `field` is where one of several
/// is named.
///
/// # Errors
/// When a pattern names nothing, or there is no model or more than one: what is there instead.
pub(crate) fn select<'a, T: Listed>(
    files: &'a [T],
    patterns: &[String],
    field: &str,
    what: What,
) -> Result<Vec<&'a T>, String> {
    if patterns.is_empty() {
        return match what {
            What::Model => the_model(files, field),
            What::Adapter => the_adapter(files, field),
        };
    }
    for pattern in patterns {
        if !files.iter().any(|file| matches(pattern, file.path())) {
            return Err(format!("no file is called {pattern:?}; there are {}", listed(files)));
        }
    }
    let named = |file: &&T| patterns.iter().any(|pattern| matches(pattern, file.path()));
    Ok(files.iter().filter(named).collect())
}

/// The safetensors files and what goes with them, or the only GGUF file.
fn the_model<'a, T: Listed>(files: &'a [T], field: &str) -> Result<Vec<&'a T>, String> {
    let at_root = |file: &&T| !file.path().contains('/');
    let weights: Vec<&T> = files
        .iter()
        .filter(at_root)
        .filter(|file| file.path().ends_with(SAFETENSORS))
        .collect();
    let has = |name: &str| files.iter().any(|file| file.path() == name);
    if has("config.json") && !weights.is_empty() {
        // Some repositories hold the same weights twice: in one file as well, or in the names of their
        // makers.
        let whole = weights.iter().any(|file| file.path() == "model.safetensors");
        let sharded = has(checkpoint::INDEX);
        let wanted = |file: &&T| match (sharded, whole) {
            (true, _) => file.path().starts_with("model-"),
            (false, true) => file.path() == "model.safetensors",
            (false, false) => true,
        };
        let settings = files.iter().filter(|file| {
            checkpoint::SETTINGS.contains(&file.path()) || (sharded && file.path() == checkpoint::INDEX)
        });
        return Ok(weights.into_iter().filter(wanted).chain(settings).collect());
    }
    let gguf: Vec<&T> = files.iter().filter(|file| file.path().ends_with(GGUF)).collect();
    match gguf.as_slice() {
        [_] => Ok(gguf),
        [] => Err(format!(
            "it has neither safetensors files with a config.json nor a *{GGUF} file; it has {}",
            listed(files)
        )),
        several => Err(format!(
            "it has several GGUF files ({}); name one in {field}",
            listed(several.iter().copied())
        )),
    }
}

/// The two files of the adapter at the root.
fn the_adapter<'a, T: Listed>(files: &'a [T], field: &str) -> Result<Vec<&'a T>, String> {
    let find = |name: &str| files.iter().find(|file| file.path() == name);
    let found = ADAPTER.map(find).into_iter().collect::<Option<Vec<_>>>();
    found.ok_or_else(|| {
        format!(
            "it has no adapter: {} and {} at its root, or where {field} says; it has {}",
            ADAPTER[0],
            ADAPTER[1],
            listed(files)
        )
    })
}

/// The model among the files: the only GGUF file, or the directory of the safetensors files.
pub(crate) fn place<T: Listed>(to: &Path, chosen: &[&T]) -> PathBuf {
    let weights = |file: &&&T| file.path().ends_with(".gguf") || file.path().ends_with(".safetensors");
    let mut found = chosen.iter().filter(weights);
    match (found.next(), found.next()) {
        (Some(only), None) if only.path().ends_with(".gguf") => to.join(only.path()),
        (Some(first), _) => to.join(first.path()).parent().unwrap_or(to).to_owned(),
        (None, _) => to.to_owned(),
    }
}

/// Whether a name is what a pattern says; `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(first) else {
        return false;
    };
    // Each piece at its first place leaves most for those after it; the last one ends the name.
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    let mut left = name;
    for piece in pieces {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

fn listed<'a, T: Listed + 'a>(files: impl IntoIterator<Item = &'a T>) -> String {
    let names: Vec<&str> = files.into_iter().map(Listed::path).collect();
    if names.is_empty() {
        return "nothing".into();
    }
    let shown = &names[..names.len().min(MAX_LISTED)];
    match names.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[derive(Debug)]
    struct Name(String);

    impl Listed for Name {
        fn path(&self) -> &str {
            &self.0
        }
    }

    fn files(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name((*name).into())).collect()
    }

    #[rstest]
    #[case(&["README.md", "m.gguf"], &[], &["m.gguf"])]
    #[case(&["config.json", "model.safetensors", "tokenizer.json", "README.md", "flax.msgpack"], &[],
        &["config.json", "model.safetensors", "tokenizer.json"])]
    #[case(&["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "consolidated.safetensors"], &[],
        &["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"])]
    #[case(&["config.json", "model.safetensors", "consolidated.safetensors"], &[], &["config.json", "model.safetensors"])]
    #[case(&["config.json", "model.safetensors", "onnx/model.safetensors", "1_Pooling/config.json", "modules.json"], &[],
        &["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json"])]
    #[case(&["a-Q4.gguf", "a-Q8.gguf"], &["*Q4.gguf"], &["a-Q4.gguf"])]
    #[case(&["q/a.gguf", "b.gguf"], &["q/*"], &["q/a.gguf"])]
    fn the_files_of_a_model_are_chosen(#[case] there: &[&str], #[case] patterns: &[&str], #[case] expected: &[&str]) {
        let (files, patterns) = (
            files(there),
            patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(),
        );
        let mut chosen: Vec<&str> = select(&files, &patterns, "spec.files", What::Model)
            .unwrap()
            .iter()
            .map(|file| file.path())
            .collect();
        chosen.sort_unstable();
        assert_eq!(chosen, expected);
    }

    #[rstest]
    #[case(&["a.gguf", "b.gguf"], &[], "several GGUF files (a.gguf, b.gguf); name one in spec.files")]
    #[case(&["pytorch_model.bin", "config.json"], &[], "it has pytorch_model.bin, config.json")]
    #[case(&[], &[], "it has nothing")]
    #[case(&["a.gguf"], &["b*"], "no file is called \"b*\"; there are a.gguf")]
    fn what_is_there_instead_is_named(#[case] there: &[&str], #[case] patterns: &[&str], #[case] says: &str) {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let error = select(&files(there), &patterns, "spec.files", What::Model).unwrap_err();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn an_adapter_is_two_files_wherever_they_are_named() {
        let there = files(&[
            "README.md",
            "adapter_model.safetensors",
            "adapter_config.json",
            "a/adapter_model.safetensors",
        ]);
        let chosen = select(&there, &[], "spec.files", What::Adapter).unwrap();
        assert_eq!(place(Path::new("/to"), &chosen), Path::new("/to"));
        assert_eq!(chosen.len(), 2);
        let named = select(&there, &["a/*".into()], "spec.files", What::Adapter).unwrap();
        assert_eq!(place(Path::new("/to"), &named), Path::new("/to/a"));
        let error = select(&there[1..2], &[], "spec.files", What::Adapter).unwrap_err();
        assert!(
            error.contains("spec.files says; it has adapter_model.safetensors"),
            "{error}"
        );
    }

    #[rstest]
    #[case("*", "", true)]
    #[case("*", "a/b", true)]
    #[case("a*c", "abc", true)]
    #[case("a*c", "ac", true)]
    #[case("a*a", "a", false)]
    #[case("*.gguf", "x.gguf.json", false)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-c-b", false)]
    #[case("abc", "abcd", false)]
    fn stars_stand_for_any_characters(#[case] pattern: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, name), expected);
    }
}
