//! Opening data directories, most of them without changing them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_blockfmt::{BlockMeta, Index};
use headwater_env::{Env, Files, FilesExt, OverlayFiles, RealFiles, Region};
use headwater_tsdb::Db;

use crate::failure::{Context, Failure, Outcome};

/// A store on a directory that stays as it is, and that another process may be using.
pub(crate) fn store(dir: &Path) -> Outcome<Db> {
    let files = OverlayFiles::new(Arc::new(RealFiles));
    open(dir, Arc::new(files))
}

/// A store on a directory that is to be changed.
pub(crate) fn to_change(dir: &Path) -> Outcome<Db> {
    open(dir, Arc::new(RealFiles))
}

fn open(dir: &Path, files: Arc<dyn Files>) -> Outcome<Db> {
    if !dir.is_dir() {
        return Err(Failure::new(format_args!(
            "{} is no directory",
            dir.display()
        )));
    }
    let env = Env {
        files,
        ..Env::real()
    };
    let db = Db::builder(dir)
        .env(env)
        .configure(|options| options.background = false)
        .open()?;
    for line in db.damage() {
        eprintln!("promtool: {line}");
    }
    Ok(db)
}

/// A block and where it lies.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: BlockMeta,
    pub(crate) dir: PathBuf,
}

impl Block {
    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> Outcome<u64> {
        RealFiles.dir_size(&self.dir).context(self.dir.display())
    }

    pub(crate) fn index(&self) -> Outcome<Index<Region>> {
        let path = self.dir.join("index");
        let bytes = RealFiles.map(&path).context(path.display())?;
        Index::open(bytes).context(path.display())
    }

    /// The files of chunks, in order.
    pub(crate) fn chunk_files(&self) -> Outcome<Vec<Region>> {
        let dir = self.dir.join("chunks");
        let entries = RealFiles.list(&dir).context(dir.display())?;
        let open = |entry: headwater_env::DirEntry| {
            let path = dir.join(entry.name);
            RealFiles.map(&path).context(path.display())
        };
        entries.into_iter().map(open).collect()
    }
}

/// The blocks of a data directory, oldest first. What cannot be read is told and left out.
pub(crate) fn blocks(dir: &Path) -> Outcome<Vec<Block>> {
    let mut out = Vec::new();
    for entry in RealFiles.list(dir).context(dir.display())? {
        let dir = dir.join(&entry.name);
        let path = dir.join("meta.json");
        if !entry.is_dir || entry.name.len() != 26 || !path.is_file() {
            continue;
        }
        match RealFiles.read(&path).map(|bytes| BlockMeta::decode(&bytes)) {
            Ok(Ok(meta)) => out.push(Block { meta, dir }),
            Ok(Err(error)) => eprintln!("promtool: {}: {error}", path.display()),
            Err(error) => eprintln!("promtool: {error}"),
        }
    }
    out.sort_by_key(|block| (block.meta.min_time, block.meta.max_time));
    Ok(out)
}
