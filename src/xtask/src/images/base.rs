//! The base image, made by debootstrap where no registry is at hand: what the Containerfiles take
//! for `debian:bookworm-slim` by their argument `BASE`.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::buildah::Buildah;
use crate::home::{self, Home};
use crate::ui::Stage;
use crate::{hash, process};

/// Debian releases with the version of their C library, oldest first.
const RELEASES: [(&str, (u32, u32)); 2] = [("bookworm", (2, 36)), ("trixie", (2, 41))];

/// What a container has no use for, and what debootstrap copies from this machine. Copyright files stay.
const TRIM: &str = r#"
set -eu
cd "$1"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/man/* usr/share/info/* usr/share/lintian \
    usr/share/locale/* usr/share/groff/* usr/share/linda dev/* tmp/* etc/resolv.conf etc/hostname
find usr/share/doc -depth -type f ! -name copyright -delete
find usr/share/doc -depth -type l -delete
find usr/share/doc -mindepth 1 -depth -type d -empty -delete
"#;

/// The base image: its name for `FROM` and the id of its content.
#[derive(Clone, Debug)]
pub struct Base {
    /// `localhost/debian:bookworm-slim-<key of how it is made>`, or a later release where this machine's C library is newer.
    pub name: String,
    /// Content id: a new base means new images.
    pub id: String,
}

/// Makes the base image unless our storage has it.
pub fn ensure(home: &Home, stage: &Stage, buildah: &Buildah) -> Result<Base> {
    let host = process::read(process::command("getconf").arg("GNU_LIBC_VERSION"))?;
    let release = release_for(&host)?;
    let recipe = hash::key([("release", release), ("trim", TRIM)]);
    let name = format!("localhost/debian:{release}-slim-{recipe}");
    if let Some(id) = buildah.image_id(&name) {
        return Ok(Base { name, id });
    }
    stage.note(&format!("{name}: the base of our images (debootstrap, about a minute)"));
    let work = home.fresh_work_dir("base")?;
    let root = work.join("root");
    let mut bootstrap = process::command("debootstrap");
    bootstrap.args(["--variant=minbase", release]).arg(&root);
    process::run(stage, &mut bootstrap)?;
    process::run(stage, process::command("sh").args(["-c", TRIM, "trim"]).arg(&root))?;

    let context = work.join("context");
    std::fs::create_dir(&context).with_context(|| format!("failed to create {}", context.display()))?;
    archive(stage, &root, &context.join("root.tar"))?;
    let containerfile = work.join("Containerfile");
    std::fs::write(&containerfile, "FROM scratch\nADD root.tar /\nCMD [\"bash\"]\n")
        .with_context(|| format!("failed to write {}", containerfile.display()))?;
    buildah.build(stage, &containerfile, &context, &name, None)?;
    home::remove_dir(&work)?;
    let id = buildah
        .image_id(&name)
        .with_context(|| format!("failed to find {name} after building it"))?;
    Ok(Base { name, id })
}

/// A tar keeps the owners of files, which copying a directory into an image does not.
fn archive(stage: &Stage, root: &Path, tar: &Path) -> Result<()> {
    let mut command = process::command("tar");
    command.args(["--create", "--numeric-owner", "--one-file-system", "--directory"]);
    process::run(stage, command.arg(root).arg("--file").arg(tar).arg("."))
}

/// The oldest Debian whose C library is no older than the one our programs are linked with.
fn release_for(getconf: &str) -> Result<&'static str> {
    let text = getconf.trim();
    let version = text.strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let Some((Ok(major), Ok(minor))) = version.map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()))
    else {
        bail!("failed to choose a base image: `getconf GNU_LIBC_VERSION` says {text:?}, which is no GNU C library");
    };
    let fits = RELEASES.iter().find(|(_, found)| *found >= (major, minor));
    let (release, _) = fits.with_context(|| {
        format!("failed to choose a base image: no Debian release has a C library as new as this machine's {text}")
    })?;
    Ok(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_never_older_than_what_we_link_with() {
        for (text, expected) in [
            ("glibc 2.31\n", Some("bookworm")),
            ("glibc 2.36\n", Some("bookworm")),
            ("glibc 2.39\n", Some("trixie")),
            ("glibc 2.41", Some("trixie")),
            ("glibc 3.0", None),
            ("", None),
        ] {
            assert_eq!(release_for(text).ok(), expected, "{text:?}");
        }
    }
}
