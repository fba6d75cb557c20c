//! llama.cpp's server, built for this machine from the sources that its Python package ships.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::home::{self, Home};
use crate::process;
use crate::ui::Stage;

const PACKAGE: &str = "llama-cpp-python";
/// Release of that package.
pub const VERSION: &str = "0.3.36";

/// The program; building it takes minutes.
pub fn server(home: &Home, stage: &Stage) -> Result<PathBuf> {
    let dir = home.tool("llama.cpp", VERSION);
    let server = dir.join("llama-server");
    if server.is_file() {
        return Ok(server);
    }
    stage.note(&format!(
        "{PACKAGE} {VERSION}: another engine, for benchmarks and tests (pip download, cmake)"
    ));
    let work = home.fresh_work_dir("llama.cpp")?;
    let mut download = process::command("python3");
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    download.args(["--no-binary", PACKAGE, "--dest"]).arg(&work);
    download.arg(format!("{PACKAGE}=={VERSION}"));
    process::run(stage, &mut download)?;
    let archive = work.join(format!("llama_cpp_python-{VERSION}.tar.gz"));
    process::run(
        stage,
        process::command("tar").arg("-xzf").arg(archive).arg("-C").arg(&work),
    )?;
    let source = work.join(format!("llama_cpp_python-{VERSION}/vendor/llama.cpp"));
    let build = work.join("build");
    let mut configure = process::command("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&build).args([
        "-DCMAKE_BUILD_TYPE=Release",
        "-DGGML_NATIVE=ON",
        "-DBUILD_SHARED_LIBS=OFF",
        "-DLLAMA_CURL=OFF",
        "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_EXAMPLES=OFF",
    ]);
    process::run(stage, &mut configure)?;
    let mut compile = process::command("cmake");
    compile
        .arg("--build")
        .arg(&build)
        .args(["--target", "llama-server", "--parallel"]);
    process::run(stage, &mut compile)?;
    let done = home.fresh_work_dir("llama.cpp-done")?;
    let built = build.join("bin/llama-server");
    std::fs::copy(&built, done.join("llama-server")).with_context(|| format!("failed to copy {}", built.display()))?;
    home::publish_dir(&done, &dir)?;
    home::remove_dir(&work)?;
    Ok(server)
}

/// The shared objects that it loads and a slim base image may lack.
pub fn libraries(server: &std::path::Path) -> Result<Vec<PathBuf>> {
    let printed = process::read(process::command("ldd").arg(server))?;
    Ok(found(&printed))
}

/// Those of the C and C++ libraries are in every base image, and belong to its release.
fn found(ldd: &str) -> Vec<PathBuf> {
    let wanted = ["libgomp.", "libssl.", "libcrypto."];
    let lines = ldd.lines().filter_map(|line| line.trim().split_once(" => "));
    lines
        .filter(|(name, _)| wanted.iter().any(|prefix| name.starts_with(prefix)))
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .filter(|path| path.starts_with('/'))
        .map(Into::into)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_base_are_left_to_it() {
        let printed = "\tlinux-vdso.so.1 (0x00007f)\n\tlibgomp.so.1 => /lib/libgomp.so.1 (0x00007f)\n\
                       \tlibssl.so.3 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\
                       \tlibcrypto.so.3 => /lib/libcrypto.so.3 (0x00007f)\n";
        let expected = ["/lib/libgomp.so.1", "/lib/libcrypto.so.3"].map(PathBuf::from);
        assert_eq!(found(printed), expected);
    }
}
