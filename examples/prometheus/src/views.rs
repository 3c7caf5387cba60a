//! Scraper and store, as the API wants to see them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_api_prometheus::{
    Admin, DamagedBlock, Dropped, FailedBlock, HeadStats, Health, Lifecycle, MendedBlock, Mending,
    NameCount, Scraping, TargetMetadata, TargetView, TsdbStats, TsdbView, WalReplay,
};
use headwater_blockfmt::BlockMeta;
use headwater_model::duration::format_duration;
use headwater_model::{Labels, Matcher, TimeRange};
use headwater_relabel::Rules;
use headwater_scrape::ScrapeManager;
use headwater_service::{ReloadError, Reloader, Stopper};
use headwater_storage::{BoxFuture, Delete, Error, ErrorKind, Result};
use headwater_tsdb::{Db, Opening, TopEntry};
use parking_lot::RwLock;

/// The scraper, with the settings of its jobs as they print.
pub(crate) struct Scrapes {
    pub(crate) manager: ScrapeManager,
    pub(crate) configs: Arc<RwLock<BTreeMap<String, String>>>,
}

impl Scraping for Scrapes {
    fn pools(&self) -> Vec<String> {
        self.manager.jobs()
    }

    fn active(&self, pool: &str) -> Vec<TargetView> {
        let status = self.manager.job_status(pool).unwrap_or_default();
        status.active.into_iter().map(view).collect()
    }

    fn dropped(&self, pool: &str) -> Dropped {
        let status = self.manager.job_status(pool).unwrap_or_default();
        Dropped {
            targets: status.dropped,
            total: status.dropped_count,
        }
    }

    fn relabelling(&self, pool: &str) -> Option<Rules> {
        self.manager.job_config(pool).map(|job| job.relabel)
    }

    fn config(&self, pool: &str) -> Option<String> {
        self.configs.read().get(pool).cloned()
    }

    fn metadata(&self, pool: &str) -> Vec<TargetMetadata> {
        let status = self.manager.job_status(pool).unwrap_or_default();
        let targets: HashSet<Labels> = status
            .active
            .into_iter()
            .map(|target| target.labels)
            .collect();
        let mut views: Vec<TargetMetadata> = Vec::with_capacity(targets.len());
        for entry in self
            .manager
            .target_metadata(|labels| targets.contains(labels), None, 0)
        {
            let known = views
                .iter_mut()
                .rev()
                .find(|view| view.target == entry.target);
            match known {
                Some(view) => view.entries.push((entry.metric, entry.metadata)),
                None => views.push(TargetMetadata {
                    target: entry.target,
                    entries: vec![(entry.metric, entry.metadata)],
                }),
            }
        }
        views
    }
}

fn view(target: headwater_scrape::ActiveTarget) -> TargetView {
    let millis = |duration: std::time::Duration| {
        format_duration(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    };
    TargetView {
        global_url: global_url(&target.url),
        url: target.url,
        discovered: target.discovered_labels,
        labels: target.labels,
        last_error: target.status.last_error,
        last_scrape: target.status.last_scrape_nanos,
        last_duration: target.status.last_duration.as_secs_f64(),
        health: match target.status.health {
            headwater_scrape::Health::Unknown => Health::Unknown,
            headwater_scrape::Health::Up => Health::Up,
            headwater_scrape::Health::Down => Health::Down,
        },
        interval: millis(target.interval),
        timeout: millis(target.timeout),
    }
}

/// Addresses of this machine make no sense elsewhere; its name does.
fn global_url(url: &str) -> String {
    let host = crate::process::hostname();
    ["//localhost", "//127.0.0.1", "//[::1]"]
        .into_iter()
        .find(|local| {
            url.split_once(local)
                .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with([':', '/']))
        })
        .filter(|_| !host.is_empty())
        .map_or_else(
            || url.to_owned(),
            |local| url.replacen(local, &format!("//{host}"), 1),
        )
}

/// The store, for status pages.
pub(crate) struct Store(pub(crate) Opening);

impl Store {
    /// The store itself, once its log is read.
    fn db(&self) -> Result<&Db> {
        let what = "the store is still reading its log";
        self.0
            .db()
            .ok_or_else(|| Error::new(ErrorKind::NotReady, what))
    }
}

impl TsdbView for Store {
    fn stats(&self, limit: usize) -> Result<TsdbStats> {
        let db = self.db()?;
        let (stats, cardinality) = (db.stats()?, db.cardinality(limit));
        Ok(TsdbStats {
            head_stats: HeadStats {
                num_series: stats.series,
                num_label_pairs: stats.label_pairs,
                chunk_count: stats.chunks,
                min_time: stats.min_time.unwrap_or(i64::MAX),
                max_time: stats.max_time.unwrap_or(i64::MIN),
            },
            series_count_by_metric_name: counts(cardinality.series_by_metric),
            label_value_count_by_label_name: counts(cardinality.values_by_label),
            memory_in_bytes_by_label_name: counts(cardinality.bytes_by_label),
            series_count_by_label_value_pair: counts(cardinality.series_by_pair),
        })
    }

    fn blocks(&self) -> Result<Vec<BlockMeta>> {
        Ok(self.db()?.blocks())
    }

    fn damaged_blocks(&self) -> Result<Vec<DamagedBlock>> {
        let told = |block: headwater_tsdb::DamagedBlock| DamagedBlock {
            ulid: block.ulid,
            path: block.dir.display().to_string(),
            served: block.served,
            num_series: block.series,
            lost_series: block.lost_series,
            damaged_chunks: block.damaged_chunks,
            damage: block.damage,
        };
        let damaged = self.db()?.damaged_blocks();
        Ok(damaged.into_iter().map(told).collect())
    }

    fn replay(&self) -> WalReplay {
        let progress = self.0.progress();
        WalReplay {
            min: progress.first,
            max: progress.last,
            current: progress.current,
        }
    }
}

fn counts(entries: Vec<TopEntry>) -> Vec<NameCount> {
    entries
        .into_iter()
        .map(|entry| NameCount {
            name: entry.name,
            value: entry.value,
        })
        .collect()
}

impl Delete for Store {
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        self.0.delete(matchers, range)
    }
}

impl Admin for Store {
    fn clean_tombstones(&self) -> BoxFuture<'_, Result<()>> {
        let db = self.db().cloned();
        blocking(move || db?.clean_tombstones().map(drop))
    }

    fn snapshot(&self, skip_head: bool) -> BoxFuture<'_, Result<String>> {
        let db = self.db().cloned();
        blocking(move || {
            let (db, name) = (db?, snapshot_name());
            db.snapshot(&db.dir().join("snapshots").join(&name), !skip_head)?;
            Ok(name)
        })
    }

    fn mend_blocks(&self, blocks: Vec<String>, verify: bool) -> BoxFuture<'_, Result<Mending>> {
        let db = self.db().cloned();
        blocking(move || mend(&db?, blocks, verify))
    }
}

/// Mends the blocks that are named, or else all that are damaged.
fn mend(db: &Db, named: Vec<String>, verify: bool) -> Result<Mending> {
    let damaged = match verify {
        true => db.verify_blocks()?,
        false => db.damaged_blocks(),
    };
    let blocks = match named.is_empty() {
        true => damaged.into_iter().map(|block| block.ulid).collect(),
        false => named,
    };
    let mut out = Mending::default();
    for ulid in blocks {
        match db.mend_block(&ulid) {
            Ok(Some(block)) => out.mended.push(MendedBlock {
                ulid: block.ulid,
                replaced_by: block.replaced_by,
                set_aside: block.set_aside.display().to_string(),
                num_series: block.series,
                lost_series: block.lost_series,
                lost_chunks: block.lost_chunks,
                damage: block.damage,
            }),
            Ok(None) => out.sound.push(ulid),
            Err(error) => {
                let error = error.to_string();
                out.failed.push(FailedBlock { ulid, error });
            }
        }
    }
    Ok(out)
}

/// Work on files, on a thread that may wait for the disk.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> BoxFuture<'static, Result<T>> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, error.to_string())))
    })
}

/// The time in UTC and sixteen random hexadecimal digits, as in Prometheus: `20260101T120000Z-0123456789abcdef`.
fn snapshot_name() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let text =
        headwater_api_prometheus::format_rfc3339(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    let digits: String = text
        .chars()
        .take(19)
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    // RandomState is seeded by the operating system; the name must only not exist yet.
    let random = RandomState::new().hash_one(now);
    format!("{digits}Z-{random:016x}")
}

/// Reload and quit over HTTP.
pub(crate) struct Remote {
    pub(crate) reloader: Reloader,
    pub(crate) quit: Stopper,
    pub(crate) asked: std::sync::atomic::AtomicBool,
}

impl Lifecycle for Remote {
    fn reload(&self) -> BoxFuture<'_, std::result::Result<(), String>> {
        Box::pin(async {
            match self.reloader.reload().await {
                Ok(()) => Ok(()),
                Err(ReloadError::Refused(why)) => Err(why),
                Err(other) => Err(other.to_string()),
            }
        })
    }

    fn quit(&self) -> bool {
        let first = !self.asked.swap(true, std::sync::atomic::Ordering::SeqCst);
        self.quit.stop();
        first
    }
}
