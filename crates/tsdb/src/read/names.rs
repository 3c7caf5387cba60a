//! Labels of series from the index of a block.

use headwater_blockfmt::Index;
use headwater_env::Region;
use headwater_model::Labels;
use headwater_storage::Result;

use crate::block::Block;

/// Fewer series than this are not worth another thread.
const SERIES_PER_THREAD: usize = 4096;
/// Threads that one select may use for this.
const MOST_THREADS: usize = 8;
/// Symbols whose texts are at hand: neighbours have most in common.
const RECENT: usize = 256;

/// The labels of series. Where there are many, all cores read them.
pub(crate) fn read_labels(block: &Block, references: &[u32]) -> Result<Vec<Labels>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (references.len() / SERIES_PER_THREAD).clamp(1, cores.min(MOST_THREADS));
    if threads == 1 {
        return Namer::new(block).read(references);
    }
    let share = references.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let spawn = |share| scope.spawn(move || Namer::new(block).read(share));
        let running: Vec<_> = references.chunks(share).map(spawn).collect();
        let mut out = Vec::with_capacity(references.len());
        for thread in running {
            let read = thread.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            });
            out.append(&mut read?);
        }
        Ok(out)
    })
}

/// Puts labels together, with texts that it has seen lately.
struct Namer<'b> {
    block: &'b Block,
    index: &'b Index<Region>,
    recent: Box<[(u32, &'b str)]>,
}

impl<'b> Namer<'b> {
    fn new(block: &'b Block) -> Namer<'b> {
        Namer {
            block,
            index: &block.index,
            recent: vec![(u32::MAX, ""); RECENT].into(),
        }
    }

    fn read(&mut self, references: &[u32]) -> Result<Vec<Labels>> {
        let (mut symbols, mut pairs) = (Vec::new(), Vec::new());
        let mut out = Vec::with_capacity(references.len());
        for reference in references {
            let entry = self.index.series(*reference);
            let entry = entry.map_err(|e| self.block.bad_index(e))?;
            let read = entry.symbols_into(&mut symbols);
            read.map_err(|e| self.block.bad_index(e))?;
            pairs.clear();
            for (name, value) in &symbols {
                pairs.push((self.text(*name)?, self.text(*value)?));
            }
            out.push(Labels::from_ascending(&pairs));
        }
        Ok(out)
    }

    fn text(&mut self, symbol: u32) -> Result<&'b str> {
        let place = symbol as usize % RECENT;
        let (known, text) = self.recent[place];
        if known == symbol {
            return Ok(text);
        }
        let text = self.index.symbol(symbol);
        let text = text.map_err(|e| self.block.bad_index(e))?;
        self.recent[place] = (symbol, text);
        Ok(text)
    }
}
