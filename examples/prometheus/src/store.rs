//! How the store is opened: flags and settings file together, the file first, as in Prometheus.

use std::time::Duration;

use headwater_config::{Config, FloatEncoding as Floats};
use headwater_model::duration::format_duration;
use headwater_tsdb::{Db, FloatEncoding, Options};
use headwater_wal::Compression;

use crate::Failure;
use crate::flags::Flags;

/// How long samples are kept if nobody says anything.
const DEFAULT_RETENTION: Duration = Duration::from_secs(15 * 86_400);
/// The longest block, if retention would allow longer ones, in milliseconds.
const LONGEST_BLOCK: i64 = 31 * 86_400_000;

/// Settings of the store.
pub(crate) fn options(flags: &Flags, config: &Config) -> Result<Options, Failure> {
    let mut options = Options::default();
    let tsdb = config.storage.tsdb.clone().unwrap_or_default();
    options.segment_bytes = segment_bytes(flags)?;
    options.log_compression = compression(flags)?;
    options.out_of_order_window = tsdb.out_of_order_time_window.to_std();
    options.stale_series_threshold = tsdb.stale_series_compaction_threshold;
    options.snapshot_on_close = flags.has_feature("memory-snapshot-on-shutdown");
    options.memory_budget = memory_budget(flags).map_err(Failure::of_user)?;
    set_encodings(&mut options, flags, config)?;
    set_exemplars(&mut options, flags, config);
    set_retention(&mut options, flags, config).map_err(Failure::of_user)?;
    set_blocks(&mut options, flags).map_err(Failure::of_user)?;
    Ok(options)
}

/// A size, or nothing for no limit.
fn memory_budget(flags: &Flags) -> Result<u64, String> {
    let name = "storage.tsdb.memory-budget";
    match flags.text(name) {
        "" | "0" => Ok(0),
        _ => flags.bytes(name),
    }
}

/// How floats are encoded: as the file says, or else as features ask for.
fn float_encoding(flags: &Flags, config: &Config) -> FloatEncoding {
    let tsdb = config.storage.tsdb.clone().unwrap_or_default();
    let asked = flags.has_feature("xor2-encoding") || flags.has_feature("st-storage");
    match tsdb.chunk_encoding.floats {
        Some(Floats::Xor2) => FloatEncoding::Xor2,
        None if asked => FloatEncoding::Xor2,
        _ => FloatEncoding::Xor,
    }
}

/// Start timestamps need room in chunks.
fn set_encodings(options: &mut Options, flags: &Flags, config: &Config) -> Result<(), Failure> {
    options.float_encoding = float_encoding(flags, config);
    options.start_timestamps = flags.has_feature("st-storage");
    options.histogram_starts = flags.has_feature("histograms-st-encoding");
    if options.start_timestamps && options.float_encoding == FloatEncoding::Xor {
        return Err(Failure::of_machine(
            "the feature st-storage needs storage.tsdb.chunk_encoding.floats: xor2",
        ));
    }
    Ok(())
}

fn segment_bytes(flags: &Flags) -> Result<u64, Failure> {
    let name = "storage.tsdb.wal-segment-size";
    let bytes = flags.bytes(name).map_err(Failure::of_user)?;
    if (10 << 20..=256 << 20).contains(&bytes) {
        return Ok(bytes);
    }
    Err(Failure::of_user(format!(
        "flag --{name} must be set between 10MB and 256MB"
    )))
}

fn compression(flags: &Flags) -> Result<Compression, Failure> {
    let name = "storage.tsdb.wal-compression-type";
    match (flags.on("storage.tsdb.wal-compression"), flags.text(name)) {
        (false, _) => Ok(Compression::None),
        (true, "snappy") => Ok(Compression::Snappy),
        (true, "zstd") => Ok(Compression::Zstd),
        (true, other) => Err(Failure::of_user(format!(
            "flag --{name}: {other:?} is neither snappy nor zstd"
        ))),
    }
}

/// Exemplars are kept only if the feature is on.
fn set_exemplars(options: &mut Options, flags: &Flags, config: &Config) {
    let on = flags.has_feature("exemplar-storage");
    let most = config
        .storage
        .exemplars
        .clone()
        .unwrap_or_default()
        .max_exemplars;
    options.max_exemplars = if on {
        usize::try_from(most).unwrap_or(0)
    } else {
        0
    };
}

/// A limit that the file sets beats the flag; without any limit samples are kept for 15 days.
fn set_retention(options: &mut Options, flags: &Flags, config: &Config) -> Result<(), String> {
    let file = config
        .storage
        .tsdb
        .clone()
        .unwrap_or_default()
        .retention
        .unwrap_or_default();
    let flag_time = match flags.text("storage.tsdb.retention.time") {
        "" => Duration::ZERO,
        _ => flags.duration("storage.tsdb.retention.time")?,
    };
    let flag_size = match flags.text("storage.tsdb.retention.size") {
        "" | "0" => 0,
        _ => flags.bytes("storage.tsdb.retention.size")?,
    };
    options.retention = if file.time.is_zero() {
        flag_time
    } else {
        file.time.to_std()
    };
    options.retention_bytes = if file.size.bytes() == 0 {
        flag_size
    } else {
        file.size.bytes()
    };
    options.retention_percentage = file.percentage;
    let no_size = options.retention_bytes == 0 && file.percentage == 0.0;
    if options.retention.is_zero() && no_size {
        options.retention = DEFAULT_RETENTION;
    }
    Ok(())
}

/// Gives an open store what may change of settings that were read again.
pub(crate) fn apply(db: &Db, flags: &Flags, config: &Config) -> Result<(), String> {
    let mut options = Options::default();
    set_retention(&mut options, flags, config)?;
    db.set_float_encoding(float_encoding(flags, config))
        .map_err(|error| error.to_string())?;
    let tsdb = config.storage.tsdb.clone().unwrap_or_default();
    db.set_stale_series_threshold(tsdb.stale_series_compaction_threshold);
    db.set_retention(|retention| {
        retention.time = options.retention;
        retention.bytes = options.retention_bytes;
        retention.percentage = options.retention_percentage;
    });
    Ok(())
}

/// Blocks grow to a tenth of the retention, or 31 days.
fn set_blocks(options: &mut Options, flags: &Flags) -> Result<(), String> {
    options.block_range = flags.millis("storage.tsdb.min-block-duration")?;
    if options.block_range <= 0 {
        return Err("flag --storage.tsdb.min-block-duration must be longer than 0".to_owned());
    }
    let tenth = i64::try_from(options.retention.as_millis() / 10).unwrap_or(i64::MAX);
    let longest = match flags.text("storage.tsdb.max-block-duration") {
        "" if tenth == 0 => LONGEST_BLOCK,
        "" => tenth.min(LONGEST_BLOCK),
        _ => flags.millis("storage.tsdb.max-block-duration")?,
    };
    options.max_block_range = longest.max(options.block_range);
    Ok(())
}

/// Retention as the runtime information shows it.
pub(crate) fn retention_text(options: &Options) -> String {
    let time = i64::try_from(options.retention.as_millis()).unwrap_or(i64::MAX);
    let mut limits = Vec::new();
    if time != 0 {
        limits.push(format_duration(time));
    }
    if options.retention_bytes != 0 {
        limits.push(format!("{}B", options.retention_bytes));
    }
    if options.retention_percentage != 0.0 {
        limits.push(format!("{}%", options.retention_percentage));
    }
    limits.join(" or ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use headwater_config::Options as ReadOptions;

    use super::*;

    fn opened(arguments: &[&str], file: &str) -> Result<Options, String> {
        let config = Config::parse(file, Path::new("."), &ReadOptions::default()).unwrap();
        options(&Flags::of(arguments), &config).map_err(|failure| failure.message)
    }

    #[test]
    fn retention_comes_from_the_file_then_the_flags_then_the_default() {
        let file = "storage: {tsdb: {retention: {time: 3d}}}\n";
        for (arguments, file, wanted) in [
            (&[][..], "{}\n", "15d"),
            (&["--storage.tsdb.retention.time=30d"], "{}\n", "30d"),
            (&["--storage.tsdb.retention.size=1KB"], "{}\n", "1024B"),
            (
                &[
                    "--storage.tsdb.retention.time=30d",
                    "--storage.tsdb.retention.size=1KB",
                ],
                file,
                "3d or 1024B",
            ),
            (
                &["--storage.tsdb.retention.size=1KB"],
                "storage: {tsdb: {retention: {percentage: 12.5}}}\n",
                "1024B or 12.5%",
            ),
        ] {
            assert_eq!(
                retention_text(&opened(arguments, file).unwrap()),
                wanted,
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn blocks_grow_with_the_retention() {
        let hours = |options: Options| {
            (
                options.block_range / 3_600_000,
                options.max_block_range / 3_600_000,
            )
        };
        assert_eq!(hours(opened(&[], "{}\n").unwrap()), (2, 36));
        let asked = [
            "--storage.tsdb.min-block-duration=1h",
            "--storage.tsdb.max-block-duration=4h",
        ];
        assert_eq!(hours(opened(&asked, "{}\n").unwrap()), (1, 4));
    }

    #[test]
    fn the_log_is_written_as_asked() {
        assert_eq!(
            opened(&["--no-storage.tsdb.wal-compression"], "{}\n")
                .unwrap()
                .log_compression,
            Compression::None
        );
        assert_eq!(
            opened(&["--storage.tsdb.wal-compression-type=zstd"], "{}\n")
                .unwrap()
                .log_compression,
            Compression::Zstd
        );
        assert!(
            opened(&["--storage.tsdb.wal-compression-type=lzma"], "{}\n")
                .unwrap_err()
                .contains("lzma")
        );
        assert!(
            opened(&["--storage.tsdb.wal-segment-size=1MB"], "{}\n")
                .unwrap_err()
                .contains("between 10MB and 256MB")
        );
    }

    #[test]
    fn chunks_are_encoded_as_file_and_features_say() {
        let xor2 = "storage: {tsdb: {chunk_encoding: {floats: xor2}}}\n";
        let xor = "storage: {tsdb: {chunk_encoding: {floats: xor}}}\n";
        let encoding = |arguments: &[&str], file| {
            let options = opened(arguments, file)?;
            Ok::<_, String>((options.float_encoding, options.start_timestamps))
        };
        assert_eq!(encoding(&[], "{}\n"), Ok((FloatEncoding::Xor, false)));
        assert_eq!(encoding(&[], xor2), Ok((FloatEncoding::Xor2, false)));
        let feature = ["--enable-feature=xor2-encoding"];
        assert_eq!(encoding(&feature, "{}\n"), Ok((FloatEncoding::Xor2, false)));
        assert_eq!(encoding(&feature, xor), Ok((FloatEncoding::Xor, false)));
        let starts = ["--enable-feature=st-storage,histograms-st-encoding"];
        assert_eq!(encoding(&starts, "{}\n"), Ok((FloatEncoding::Xor2, true)));
        assert!(opened(&starts, "{}\n").unwrap().histogram_starts);
        assert!(encoding(&starts, xor).unwrap_err().contains("xor2"));
    }

    #[test]
    fn memory_and_snapshots_are_set_by_flags() {
        let options = opened(&["--storage.tsdb.memory-budget=3GB"], "{}\n").unwrap();
        assert_eq!(
            (options.memory_budget, options.snapshot_on_close),
            (3 << 30, false)
        );
        let feature = ["--enable-feature=memory-snapshot-on-shutdown"];
        let options = opened(&feature, "{}\n").unwrap();
        assert_eq!(
            (options.memory_budget, options.snapshot_on_close),
            (0, true)
        );
        let error = opened(&["--storage.tsdb.memory-budget=much"], "{}\n").unwrap_err();
        assert!(error.contains("memory-budget"), "{error}");
    }

    /// A store with two series of which one has ended.
    fn store_with_an_end(options: Options) -> Db {
        use headwater_model::{Labels, stale_nan};
        use headwater_storage::Append;
        let db = Db::builder("data").env(headwater_env::Env::in_memory(1));
        let mut options = options;
        options.background = false;
        let db = db.options(options).open().unwrap();
        let mut batch = db.appender(Default::default()).unwrap();
        for (name, value) in [("a", 1.0), ("b", stale_nan())] {
            let series = batch.series(&Labels::from_pairs([("n", name)])).unwrap();
            batch.append_float(series, 1000, value).unwrap();
        }
        batch.commit().unwrap().wait().unwrap();
        db
    }

    #[test]
    fn ended_series_leave_as_the_file_says_also_when_it_is_read_again() {
        let file =
            |share| format!("storage: {{tsdb: {{stale_series_compaction_threshold: {share}}}}}\n");
        let early = |db: &Db| db.maintain().unwrap().early_blocks;
        let db = store_with_an_end(opened(&[], &file("0.5")).unwrap());
        assert_eq!(early(&db), 1);
        let db = store_with_an_end(opened(&[], &file("0.6")).unwrap());
        assert_eq!(early(&db), 0);
        let again = Config::parse(&file("0.4"), Path::new("."), &ReadOptions::default());
        apply(&db, &Flags::of(&[]), &again.unwrap()).unwrap();
        assert_eq!(early(&db), 1);
    }

    #[test]
    fn late_samples_and_exemplars_are_kept_if_asked() {
        let file =
            "storage: {tsdb: {out_of_order_time_window: 1h}, exemplars: {max_exemplars: 7}}\n";
        let options = opened(&["--enable-feature=exemplar-storage"], file).unwrap();
        assert_eq!(
            (options.out_of_order_window, options.max_exemplars),
            (Duration::from_secs(3600), 7)
        );
        assert_eq!(opened(&[], file).unwrap().max_exemplars, 0);
    }
}
