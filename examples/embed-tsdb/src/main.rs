//! A database in another program: open, append, query.

use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_storage::{Append, Result, Select, SelectRequest, block_on};
use headwater_tsdb::Db;

fn main() -> Result<()> {
    let dir = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "embed-data".into());
    let db = Db::open(&dir)?;
    remember_this_start(&db)?;

    let request = SelectRequest::new(vec![Matcher::equal("__name__", "starts")], TimeRange::ALL);
    let mut cursor = block_on(db.select(request))?;
    let mut columns = SeriesColumns::default();
    while let Some(labels) = cursor.advance()? {
        cursor.read(&mut columns)?;
        println!(
            "{labels} has {} samples in {}",
            columns.len(),
            db.dir().display()
        );
    }
    db.close()
}

/// One sample a start: run the program again and there is one more.
fn remember_this_start(db: &Db) -> Result<()> {
    use headwater_env::{Clock, SystemClock};
    let now = SystemClock::new().unix_millis();
    let mut batch = db.appender(Default::default())?;
    let labels = Labels::from_pairs([("__name__", "starts"), ("program", "embed-tsdb")]);
    let series = batch.series(&labels).map_err(refused)?;
    batch.append_float(series, now, 1.0).map_err(refused)?;
    batch.commit()?.wait()
}

fn refused(error: headwater_storage::AppendError) -> headwater_storage::Error {
    headwater_storage::Error::new(headwater_storage::ErrorKind::Invalid, error.to_string())
}
