//! Writes the files that are generated from the API's types, or says which are out of date.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "usage: atelier-gen --root DIR [--check]";

struct Options {
    root: PathBuf,
    check: bool,
}

fn main() -> ExitCode {
    let result = parse(env::args().skip(1)).and_then(|options| run(&options));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut root, mut check) = (None, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--root" => root = Some(arguments.next().ok_or(USAGE)?.into()),
            _ => return Err(format!("unknown argument {argument}: {USAGE}")),
        }
    }
    Ok(Options {
        root: root.ok_or(USAGE)?,
        check,
    })
}

fn run(options: &Options) -> Result<(), String> {
    let mut stale = Vec::new();
    for file in atelier_api::generate::files() {
        let path = options.root.join(&file.path);
        if is_current(&path, &file.text)? {
            continue;
        }
        if !options.check {
            write(&path, &file.text)?;
            println!("wrote {}", file.path);
        }
        stale.push(file.path);
    }
    if options.check && !stale.is_empty() {
        let list = stale.join(", ");
        return Err(format!(
            "generated files are out of date, run `cargo xtask gen`: {list}"
        ));
    }
    Ok(())
}

fn is_current(path: &Path, text: &str) -> Result<bool, String> {
    match fs::read(path) {
        Ok(found) => Ok(found == text.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("failed to read {}: {error}", path.display())),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().expect("generated files lie in folders");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("failed to write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &str) -> Result<Options, String> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_root_is_required_and_typing_errors_are_refused() {
        assert!(options("--root /a --check").is_ok_and(|it| it.check && it.root == Path::new("/a")));
        assert!(options("--root /a").is_ok_and(|it| !it.check));
        for wrong in ["", "--check", "--root", "--root /a --chekc"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }
}
