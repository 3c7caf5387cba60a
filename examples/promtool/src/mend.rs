//! `tsdb mend`: damaged blocks become sound ones.

use headwater_tsdb::{DamagedBlock, Db};

use crate::failure::{Failure, Outcome};
use crate::flags::Mend;
use crate::open;

pub(crate) fn run(options: &Mend) -> Outcome {
    let db = match options.dry_run {
        true => open::store(&options.path)?,
        false => open::to_change(&options.path)?,
    };
    let damaged: Vec<DamagedBlock> = db
        .verify_blocks()?
        .into_iter()
        .filter(|block| options.blocks.is_empty() || options.blocks.contains(&block.ulid))
        .collect();
    let known = |ulid: &&String| db.blocks().iter().any(|meta| meta.ulid == **ulid);
    let told = |ulid: &&String| damaged.iter().any(|block| block.ulid == **ulid);
    if let Some(unknown) = options
        .blocks
        .iter()
        .find(|ulid| !known(ulid) && !told(ulid))
    {
        return Err(Failure::new(format_args!("there is no block {unknown}")));
    }
    let mut failed = Ok(());
    for block in &damaged {
        println!("{} is damaged", block.ulid);
        block.damage.iter().for_each(|line| println!("  {line}"));
        if options.dry_run {
            let (series, lost) = (block.series, block.lost_series);
            println!("  {series} series can be saved, {lost} are lost");
        } else {
            // One that cannot be mended does not keep the others from it.
            failed = failed.and(mend(&db, block));
        }
    }
    if damaged.is_empty() {
        println!("nothing is damaged");
    }
    match options.dry_run && !damaged.is_empty() {
        true => Err(Failure::lint()),
        false => failed,
    }
}

fn mend(db: &Db, block: &DamagedBlock) -> Outcome {
    let Some(mended) = db.mend_block(&block.ulid)? else {
        println!("  it is sound now");
        return Ok(());
    };
    let (lost, chunks) = (mended.lost_series, mended.lost_chunks);
    match mended.replaced_by {
        Some(new) => {
            let series = mended.series;
            println!(
                "  {new} replaces it: {series} series; {lost} series and {chunks} chunks are lost"
            );
        }
        None => println!("  nothing of it can be saved"),
    }
    println!("  its files are in {}", mended.set_aside.display());
    Ok(())
}
