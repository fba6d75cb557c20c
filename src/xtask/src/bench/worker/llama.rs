//! llama.cpp, built for this machine from the sources that its Python package ships.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::super::report::Peer;
use super::program::Program;
use crate::home::{self, Home};
use crate::process;
use crate::ui::Stage;

const PACKAGE: &str = "llama-cpp-python";
const VERSION: &str = "0.3.36";

/// The built server.
pub struct Llama {
    server: PathBuf,
}

impl Llama {
    /// Builds it unless it is there; that takes minutes.
    pub fn ensure(home: &Home, stage: &Stage) -> Result<Self> {
        let dir = home.tool("llama.cpp", VERSION);
        let server = dir.join("llama-server");
        if server.is_file() {
            return Ok(Self { server });
        }
        stage.note(&format!(
            "{PACKAGE} {VERSION}: the peer of the benchmark (pip download, cmake)"
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
        std::fs::copy(&built, done.join("llama-server"))
            .with_context(|| format!("failed to copy {}", built.display()))?;
        home::publish_dir(&done, &dir)?;
        home::remove_dir(&work)?;
        Ok(Self { server })
    }

    /// Its two settings that are each best at something.
    pub fn programs(&self) -> [Program; 2] {
        [true, false].map(|flash| Program::Llama {
            program: self.server.clone(),
            flash,
        })
    }

    /// How reports name it.
    pub fn peer() -> Peer {
        Peer {
            name: "llama.cpp",
            version: VERSION,
        }
    }
}
