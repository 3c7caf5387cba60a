//! What the operating system knows about this process: `process_*`, read from `/proc`.

use std::fs;

use headwater_model::MetricType;

use super::Collect;
use crate::family::{Metric, MetricFamily, MetricValue};

/// Tells the `process_*` metrics. Where there is no `/proc`, it tells nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessCollector;

/// Ticks of a second in `/proc`: Linux fixes them at 100 towards programs, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

impl Collect for ProcessCollector {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = Stat::parse(&read("/proc/self/stat"));
        let boot = field_of(&read("/proc/stat"), "btime");
        let limits = read("/proc/self/limits");
        let mut tell = |name: &str, help: &str, metric_type, value: Option<f64>| {
            if let Some(value) = value {
                let metric = Metric::new(MetricValue::Number(value));
                out.push(MetricFamily::new(name, help, metric_type).with(metric));
            }
        };
        let gauge = MetricType::Gauge;
        let cpu = "Total user and system CPU time spent in seconds.";
        tell(
            "process_cpu_seconds_total",
            cpu,
            MetricType::Counter,
            stat.as_ref().map(|stat| stat.cpu_seconds),
        );
        tell(
            "process_open_fds",
            "Number of open file descriptors.",
            gauge,
            open_files(),
        );
        let max_fds = limit(&limits, "Max open files");
        tell(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            gauge,
            max_fds,
        );
        let virtual_memory = stat.as_ref().map(|stat| stat.virtual_bytes);
        tell(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            gauge,
            virtual_memory,
        );
        let virtual_max = limit(&limits, "Max address space");
        let help = "Maximum amount of virtual memory available in bytes.";
        tell("process_virtual_memory_max_bytes", help, gauge, virtual_max);
        let resident =
            field_of(&read("/proc/self/status"), "VmRSS:").map(|kilobytes| kilobytes * 1024.0);
        tell(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            gauge,
            resident,
        );
        let start = stat.zip(boot).map(|(stat, boot)| boot + stat.start_seconds);
        let help = "Start time of the process since unix epoch in seconds.";
        tell("process_start_time_seconds", help, gauge, start);
    }
}

/// When this process began, in seconds since 1970, if `/proc` tells.
pub fn start_time_seconds() -> Option<f64> {
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(field_of(&fs::read_to_string("/proc/stat").ok()?, "btime")? + stat.start_seconds)
}

/// What is needed of `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// Since the machine was started.
    start_seconds: f64,
    virtual_bytes: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // Fields are counted from one in proc(5); the first one here is its third.
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
            start_seconds: number(22)? / TICKS_PER_SECOND,
            virtual_bytes: number(23)?,
        })
    }
}

/// The number behind a word at the start of a line.
fn field_of(text: &str, word: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit in a line of `/proc/self/limits`; infinite ones are the largest number, as
/// other programs tell them.
fn limit(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        number => number.parse().ok(),
    }
}

fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 12345 4096 99";
        let stat = Stat {
            cpu_seconds: 2.0,
            start_seconds: 123.45,
            virtual_bytes: 4096.0,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn limits_and_fields() {
        let text = "Limit  Soft Hard Units\nMax open files            1024  4096  files\nMax address space unlimited unlimited bytes\n";
        assert_eq!(limit(text, "Max open files"), Some(1024.0));
        assert_eq!(limit(text, "Max address space"), Some(u64::MAX as f64));
        assert_eq!(field_of("a 1\nbtime 5\n", "btime"), Some(5.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_known() {
        let mut families = Vec::new();
        ProcessCollector.collect(&mut families);
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names.len(), 7, "{names:?}");
        assert!(start_time_seconds().is_some_and(|seconds| seconds > 1e9));
    }
}
