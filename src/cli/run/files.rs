//! The directory that Envoy reads its config from.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::cli::file;
use crate::cli::render::Rendering;

/// A directory of this run alone.
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    /// A fresh one that only this user can read: a config may hold keys.
    pub(super) fn create() -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("tollgate-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|fault| format!("{}: {fault}", dir.display()))?;
        Ok(Self { dir })
    }

    /// One that exists.
    pub(super) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that Envoy is started with.
    pub(super) fn bootstrap(&self) -> PathBuf {
        self.dir.join("envoy.yaml")
    }

    /// Writes all that Envoy needs to start.
    pub(super) fn write_first(&self, rendering: &Rendering<'_>) -> Result<(), String> {
        let (cds, lds) = (self.dir.join(CDS), self.dir.join(LDS));
        let bootstrap = rendering.dynamic_bootstrap(&lds.to_string_lossy(), &cds.to_string_lossy());
        file::replace(&cds, &rendering.cds())?;
        file::replace(&lds, &rendering.lds())?;
        file::replace(&self.bootstrap(), &bootstrap)
    }

    /// Puts `text` in the place of the file `name` in one step; whether that changes anything.
    pub(super) fn update(&self, name: &str, text: &str) -> Result<bool, String> {
        file::update(&self.dir.join(name), text)
    }

    /// Removes the directory.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The clusters.
pub(super) const CDS: &str = "cds.yaml";

/// The listener.
pub(super) const LDS: &str = "lds.yaml";
