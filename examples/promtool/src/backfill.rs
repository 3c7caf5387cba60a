//! `tsdb create-blocks-from openmetrics`: blocks of a text.

use headwater_env::{Env, Files, RealFiles};
use headwater_tsdb::backfill::Backfill;

use crate::failure::{Context, Outcome};
use crate::flags::FromOpenMetrics;
use crate::list;
use crate::progress::Bar;

pub(crate) fn run(options: &FromOpenMetrics) -> Outcome {
    let text = RealFiles
        .map(&options.input)
        .context(options.input.display())?;
    let mut backfill = Backfill::new(Env::real(), &options.output);
    {
        let bar = Bar::new("reading");
        backfill.add_openmetrics(&text, &|done, of| bar.tell(done, of))?;
    }
    let made = {
        let bar = Bar::new("writing");
        backfill.finish(&|done, of| bar.tell(done, of))?
    };
    match options.output_flags.quiet {
        true => Ok(()),
        false => list::print_made(&options.output, &made, options.output_flags.human_readable),
    }
}
