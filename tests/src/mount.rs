//! Small file systems that fill up or refuse to be written.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// Mounts one of `size` (such as `2m`) on `folder`, or says that this user may not.
    pub fn tmpfs(folder: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &options,
                "headwater-test",
                &folder.to_string_lossy(),
            ],
        );
        if !mounted {
            crate::skip("only root may mount the small file system that this test fills");
            return None;
        }
        Some(Self {
            folder: folder.to_owned(),
        })
    }

    /// Changes the options of the mount, such as `ro` or `size=8m`.
    ///
    /// # Panics
    /// The system refuses.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(
            run("mount", &["-o", &options, &self.folder.to_string_lossy()]),
            "cannot remount with {options}"
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy", &self.folder.to_string_lossy()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}
