//! What goes into each image, and the directory that its Containerfile is built in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::base::Base;
use crate::home::Home;
use crate::toolbox::{go, llama, table};
use crate::ui::Stage;
use crate::{cargo, hash};

/// The shared objects that the worker loads; libtorch.so is there for the linker only.
const WORKER_LIBRARIES: [&str; 5] = [
    "libtorch_cpu.so",
    "libc10.so",
    "libgomp.so.1",
    "libcudart.so.13",
    "libcupti.so.13",
];

/// The programs that images hold, by component.
const COMPONENTS: [&str; 4] = ["operator", "gateway", "worker", "data"];

/// How one image is made.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// `operator`, `gateway`, `worker`, `data`, `postgres`, `pause` or the name of a model or of data.
    pub component: String,
    /// What builds it.
    pub containerfile: PathBuf,
    /// Files of the build context: name there, and where they are taken from.
    pub files: Vec<(String, PathBuf)>,
    /// Its name where that does not follow the content: others know it by this name.
    pub name: Option<&'static str>,
}

/// Every image of the project, as `cargo xtask images` takes it.
pub const NAMES: [&str; 12] = [
    "operator",
    "gateway",
    "worker",
    "data",
    MODEL,
    DIALOGUES,
    "pause",
    ENCODER,
    POSTGRES,
    ENGINE,
    ENVOY_GATEWAY,
    ENVOY,
];
/// Those that `up` takes.
pub const QUICKSTART: &[&str] = &["operator", "gateway", "worker", "data", MODEL, DIALOGUES, "pause"];
/// Those that Rooms take beside them.
pub const ROOMS: &[&str] = &[ENCODER, POSTGRES];
/// The image of the quickstart's model.
const MODEL: &str = "smollm2-135m-instruct";
/// The image of what an example trains on.
const DIALOGUES: &str = "chatterbot-english";
/// The image of the tests' embedding model.
pub const ENCODER: &str = "all-minilm-l6-v2";
/// The image of the database that the chart brings along where that is wished for.
pub const POSTGRES: &str = "postgres";
/// The image of another engine; building it takes minutes, so it is made only by name.
pub const ENGINE: &str = "llama-server";
/// The image of an implementation of Gateway API; building it takes minutes, so it is made only by name.
pub const ENVOY_GATEWAY: &str = "envoy-gateway";
/// The image of its proxies.
pub const ENVOY: &str = "envoy";
/// The files that make up the encoder; the others change no vector.
const ENCODER_FILES: [&str; 9] = [
    "config.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
    "LICENSE",
];

/// Compiles the programs of the named images and lists how those are made; all of them when none is named.
pub fn recipes(home: &Home, stage: &Stage, only: &[String]) -> Result<Vec<Recipe>> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|other| other == name);
    let components: Vec<&str> = COMPONENTS.into_iter().filter(|name| wanted(name)).collect();
    let mut recipes = programs(home, stage, &components)?;
    if wanted(MODEL) {
        recipes.push(smollm2(home));
    }
    if wanted(DIALOGUES) {
        recipes.push(chatterbot(home)?);
    }
    if wanted(ENCODER) {
        recipes.push(minilm(home));
    }
    if wanted(POSTGRES) {
        recipes.push(postgres(home));
    }
    if only.iter().any(|name| name == ENGINE) {
        recipes.push(llama_server(home, stage)?);
    }
    if only.iter().any(|name| name == ENVOY_GATEWAY) {
        recipes.push(envoy_gateway(home, stage)?);
    }
    if only.iter().any(|name| name == ENVOY) {
        recipes.push(envoy(home, stage)?);
    }
    if wanted("pause") {
        recipes.push(pause(home, stage)?);
    }
    Ok(recipes)
}

/// Images around a program of ours.
fn programs(home: &Home, stage: &Stage, components: &[&str]) -> Result<Vec<Recipe>> {
    if components.is_empty() {
        return Ok(Vec::new());
    }
    let packages: Vec<String> = components.iter().map(|name| format!("atelier-{name}")).collect();
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    stage.status(&format!("compiling {}", components.join(", ")));
    let programs = cargo::release(home, stage, &names)?;
    let recipes = components.iter().zip(packages.iter().zip(programs));
    let recipes = recipes.map(|(component, (package, program))| {
        let mut files = vec![(package.clone(), program)];
        if *component == "worker" {
            let lib = home.libtorch().join("lib");
            files.extend(WORKER_LIBRARIES.map(|name| (format!("lib/{name}"), lib.join(name))));
        }
        Recipe {
            component: (*component).into(),
            containerfile: home.repo.join("images").join(component).join("Containerfile"),
            files,
            name: None,
        }
    });
    Ok(recipes.collect())
}

/// The quickstart's model: data without a program.
fn smollm2(home: &Home) -> Recipe {
    let dir = home.repo.join("images/models/smollm2");
    Recipe {
        component: MODEL.into(),
        containerfile: dir.join("Containerfile"),
        files: vec![
            ("model.gguf".into(), home.models().join(table::MODEL_FILE)),
            ("LICENSE".into(), home.repo.join("LICENSE")),
            ("NOTICE".into(), dir.join("NOTICE")),
        ],
        name: Some("localhost/atelier/smollm2-135m-instruct:0.1.2"),
    }
}

/// What an example trains on.
fn chatterbot(home: &Home) -> Result<Recipe> {
    let dir = home.repo.join("images/datasets/chatterbot");
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (format!("english/{name}"), path)
    };
    let mut files: Vec<_> = hash::files(&home.corpora().join(table::CHATTERBOT_DIR))?
        .into_iter()
        .map(named)
        .collect();
    files.push(("NOTICE".into(), dir.join("NOTICE")));
    Ok(Recipe {
        component: DIALOGUES.into(),
        containerfile: dir.join("Containerfile"),
        files,
        name: Some("localhost/atelier/chatterbot-english:1.3.3"),
    })
}

/// The tests' embedding model: a directory of safetensors files.
fn minilm(home: &Home) -> Recipe {
    let dir = home.repo.join("images/models/minilm");
    let model = home.models().join(table::EMBEDDER_DIR);
    let mut files = Vec::from(ENCODER_FILES.map(|name| (name.to_owned(), model.join(name))));
    files.push(("NOTICE".into(), dir.join("NOTICE")));
    Recipe {
        component: ENCODER.into(),
        containerfile: dir.join("Containerfile"),
        files,
        name: Some("localhost/atelier/all-minilm-l6-v2:0.1.0"),
    }
}

/// PostgreSQL of the base's Debian: what apt installs into it is not in its key.
fn postgres(home: &Home) -> Recipe {
    let dir = home.repo.join("images/postgres");
    Recipe {
        component: POSTGRES.into(),
        containerfile: dir.join("Containerfile"),
        files: vec![("atelier-postgres".into(), dir.join("atelier-postgres"))],
        name: None,
    }
}

/// llama.cpp's server with the libraries that it was linked with.
fn llama_server(home: &Home, stage: &Stage) -> Result<Recipe> {
    let program = llama::server(home, stage)?;
    let mut files: Vec<_> = llama::libraries(&program)?
        .into_iter()
        .filter_map(|path| Some((format!("lib/{}", path.file_name()?.to_str()?), path)))
        .collect();
    files.push(("llama-server".into(), program));
    Ok(Recipe {
        component: ENGINE.into(),
        containerfile: home.repo.join("images/llama-server/Containerfile"),
        files,
        name: Some("localhost/atelier/llama-server:0.3.36"),
    })
}

/// An implementation of Gateway API, which is one program.
fn envoy_gateway(home: &Home, stage: &Stage) -> Result<Recipe> {
    table::ENVOY_GATEWAY.ensure(home, stage)?;
    Ok(Recipe {
        component: ENVOY_GATEWAY.into(),
        containerfile: home.repo.join("images/envoy-gateway/Containerfile"),
        files: vec![("envoy-gateway".into(), table::ENVOY_GATEWAY.program(home))],
        name: Some("localhost/atelier/envoy-gateway:v1.9.1"),
    })
}

/// The proxy that it sets up.
fn envoy(home: &Home, stage: &Stage) -> Result<Recipe> {
    table::ENVOY.ensure(home, stage)?;
    Ok(Recipe {
        component: ENVOY.into(),
        containerfile: home.repo.join("images/envoy/Containerfile"),
        files: vec![("envoy".into(), table::ENVOY.dir(home)?.join(table::ENVOY_PROGRAM))],
        name: Some("localhost/atelier/envoy:1.40.0"),
    })
}

/// The first process of every pod of the local cluster, under the name that its containerd asks for.
fn pause(home: &Home, stage: &Stage) -> Result<Recipe> {
    let dir = home.repo.join("images/pause");
    let program = home.target().join("go/pause");
    go::build_image_program(stage, &dir, &program)?;
    Ok(Recipe {
        component: "pause".into(),
        containerfile: dir.join("Containerfile"),
        files: vec![("pause".into(), program)],
        name: Some("localhost/pause:1"),
    })
}

impl Recipe {
    /// The hash over everything that makes the image what it is.
    pub fn key(&self, base: &Base) -> Result<String> {
        let containerfile = std::fs::read_to_string(&self.containerfile)
            .with_context(|| format!("failed to read {}", self.containerfile.display()))?;
        let mut parts = Vec::new();
        // Data and `pause` stand on nothing: a new base does not change them.
        if containerfile.contains("FROM ${BASE}") {
            parts.push(("base".to_owned(), base.id.clone()));
        }
        parts.push(("Containerfile".to_owned(), containerfile));
        for (name, path) in &self.files {
            parts.push((format!("context/{name}"), hash::file(path)?));
        }
        Ok(hash::key(
            parts.iter().map(|(name, content)| (name.as_str(), content.as_str())),
        ))
    }

    /// The name under which pods ask for it.
    pub fn reference(&self, key: &str) -> String {
        self.name
            .map_or_else(|| format!("localhost/atelier/{}:{key}", self.component), Into::into)
    }

    /// Lays the build context out in the cache.
    pub fn stage(&self, home: &Home) -> Result<PathBuf> {
        let context = home.fresh_work_dir("image")?;
        for (name, source) in &self.files {
            let target = context.join(name);
            let parent = target.parent().expect("the context is a directory");
            std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
            copy(source, &target)?;
        }
        Ok(context)
    }
}

/// A hard link where the file system allows it (libtorch is large), else a copy. A link to a symbolic link would be a
/// second symbolic link, to a file that the context does not have.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let from = &std::fs::canonicalize(from).with_context(|| format!("failed to find {}", from.display()))?;
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(dir: &Path) -> Recipe {
        Recipe {
            component: "operator".into(),
            containerfile: dir.join("Containerfile"),
            files: vec![("program".into(), dir.join("program"))],
            name: None,
        }
    }

    fn key(dir: &Path, containerfile: &str, program: &str, base: &str) -> String {
        std::fs::write(dir.join("Containerfile"), containerfile).unwrap();
        std::fs::write(dir.join("program"), program).unwrap();
        let base = Base {
            name: "debian:bookworm-slim".into(),
            id: base.into(),
        };
        recipe(dir).key(&base).unwrap()
    }

    #[test]
    fn the_key_follows_base_recipe_and_content() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let first = key(dir, "FROM ${BASE}", "1", "a");
        assert_eq!(first, key(dir, "FROM ${BASE}", "1", "a"));
        assert_ne!(first, key(dir, "FROM ${BASE}", "1", "b"));
        assert_ne!(first, key(dir, "FROM ${BASE}", "2", "a"));
        assert_ne!(first, key(dir, "FROM scratch", "1", "a"));
        assert_eq!(key(dir, "FROM scratch", "1", "a"), key(dir, "FROM scratch", "1", "b"));
    }

    #[test]
    fn a_library_behind_a_symbolic_link_is_staged_itself() {
        let temporary = tempfile::tempdir().unwrap();
        let (library, link) = (
            temporary.path().join("library.so.1.0"),
            temporary.path().join("library.so.1"),
        );
        std::fs::write(&library, "content").unwrap();
        std::os::unix::fs::symlink("library.so.1.0", &link).unwrap();
        let context = tempfile::tempdir().unwrap();
        let staged = context.path().join("library.so.1");
        copy(&link, &staged).unwrap();
        assert_eq!(std::fs::read(staged).unwrap(), b"content");
    }

    #[test]
    fn a_name_that_others_know_stays() {
        let mut recipe = recipe(Path::new("/"));
        assert_eq!(
            recipe.reference("0123456789ab"),
            "localhost/atelier/operator:0123456789ab"
        );
        recipe.name = Some("localhost/pause:1");
        assert_eq!(recipe.reference("0123456789ab"), "localhost/pause:1");
    }
}
