//! Metrics of this machine, under the names that the node exporter uses, so that its dashboards fit.
//!
//! Read through the `procfs` and `rustix` crates; systems without `/proc` have nothing to show here.
//! A part that cannot be read is left out, the others are shown.

use headwater_exposition::registry::Collect;
use headwater_exposition::{Metric, MetricFamily, MetricValue};
use headwater_model::MetricType;

/// Tells what this machine does.
pub(crate) struct Host;

impl Collect for Host {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let page = &mut Page(out);
        #[cfg(target_os = "linux")]
        linux::collect(page);
        #[cfg(not(target_os = "linux"))]
        let _ = page;
    }
}

/// Families, written one after the other.
struct Page<'a>(&'a mut Vec<MetricFamily>);

impl Page<'_> {
    /// Begins a family.
    fn family(&mut self, name: &str, help: &str, kind: MetricType) {
        self.0.push(MetricFamily::new(name, help, kind));
    }

    /// Adds a sample to the family begun last.
    fn sample(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let metric = Metric::new(MetricValue::Number(value));
        let metric = labels
            .iter()
            .fold(metric, |metric, (name, text)| metric.label(*name, *text));
        if let Some(family) = self.0.last_mut() {
            family.metrics.push(metric);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo};

    use super::{MetricType, Page};

    use MetricType::{Counter, Gauge};

    /// Sectors of `/proc/diskstats` have 512 bytes whatever the disk's own are.
    const SECTOR: f64 = 512.0;

    pub(super) fn collect(page: &mut Page<'_>) {
        cpu(page);
        load(page);
        memory(page);
        disks(page);
        filesystems(page);
        network(page);
    }

    fn cpu(page: &mut Page<'_>) {
        let Ok(stats) = KernelStats::current() else {
            return;
        };
        page.family(
            "node_cpu_seconds_total",
            "Seconds the CPUs spent in each mode.",
            Counter,
        );
        for (number, time) in stats.cpu_time.iter().enumerate() {
            let number = number.to_string();
            let modes = [
                ("idle", Some(time.idle_ms())),
                ("iowait", time.iowait_ms()),
                ("irq", time.irq_ms()),
                ("nice", Some(time.nice_ms())),
                ("softirq", time.softirq_ms()),
                ("steal", time.steal_ms()),
                ("system", Some(time.system_ms())),
                ("user", Some(time.user_ms())),
            ];
            for (mode, millis) in modes {
                page.sample(
                    &[("cpu", &number), ("mode", mode)],
                    millis.unwrap_or(0) as f64 / 1000.0,
                );
            }
        }
        one(
            page,
            "node_boot_time_seconds",
            "When the system started, in Unix seconds.",
            Gauge,
            stats.btime as f64,
        );
        one(
            page,
            "node_context_switches_total",
            "Context switches.",
            Counter,
            stats.ctxt as f64,
        );
        one(
            page,
            "node_forks_total",
            "Processes and threads started.",
            Counter,
            stats.processes as f64,
        );
        let running = stats.procs_running.unwrap_or(0);
        one(
            page,
            "node_procs_running",
            "Threads that run or could.",
            Gauge,
            f64::from(running),
        );
    }

    fn load(page: &mut Page<'_>) {
        let Ok(load) = LoadAverage::current() else {
            return;
        };
        for (name, minutes, value) in [
            ("node_load1", 1, load.one),
            ("node_load5", 5, load.five),
            ("node_load15", 15, load.fifteen),
        ] {
            one(
                page,
                name,
                &format!("Load average over {minutes} minutes."),
                Gauge,
                f64::from(value),
            );
        }
    }

    fn memory(page: &mut Page<'_>) {
        let Ok(memory) = Meminfo::current() else {
            return;
        };
        let rows = [
            ("MemTotal", Some(memory.mem_total)),
            ("MemFree", Some(memory.mem_free)),
            ("MemAvailable", memory.mem_available),
            ("Buffers", Some(memory.buffers)),
            ("Cached", Some(memory.cached)),
            ("Active", Some(memory.active)),
            ("Inactive", Some(memory.inactive)),
            ("Dirty", Some(memory.dirty)),
            ("Writeback", Some(memory.writeback)),
            ("Shmem", memory.shmem),
            ("Slab", Some(memory.slab)),
            ("SwapTotal", Some(memory.swap_total)),
            ("SwapFree", Some(memory.swap_free)),
        ];
        for (field, bytes) in rows {
            let name = format!("node_memory_{field}_bytes");
            if let Some(bytes) = bytes {
                one(
                    page,
                    &name,
                    &format!("Memory: {field} of /proc/meminfo."),
                    Gauge,
                    bytes as f64,
                );
            }
        }
    }

    fn disks(page: &mut Page<'_>) {
        let Ok(mut disks) = procfs::diskstats() else {
            return;
        };
        disks.retain(|disk| !disk.name.starts_with("loop") && !disk.name.starts_with("ram"));
        type Row = (&'static str, &'static str, fn(&procfs::DiskStat) -> f64);
        let rows: [Row; 7] = [
            (
                "node_disk_reads_completed_total",
                "Reads that ended well.",
                |disk| disk.reads as f64,
            ),
            ("node_disk_read_bytes_total", "Bytes read.", |disk| {
                disk.sectors_read as f64 * SECTOR
            }),
            (
                "node_disk_read_time_seconds_total",
                "Seconds spent by all reads.",
                |disk| disk.time_reading as f64 / 1000.0,
            ),
            (
                "node_disk_writes_completed_total",
                "Writes that ended well.",
                |disk| disk.writes as f64,
            ),
            ("node_disk_written_bytes_total", "Bytes written.", |disk| {
                disk.sectors_written as f64 * SECTOR
            }),
            (
                "node_disk_write_time_seconds_total",
                "Seconds spent by all writes.",
                |disk| disk.time_writing as f64 / 1000.0,
            ),
            (
                "node_disk_io_time_seconds_total",
                "Seconds in which the disk worked.",
                |disk| disk.time_in_progress as f64 / 1000.0,
            ),
        ];
        for (name, help, value) in rows {
            page.family(name, help, Counter);
            for disk in &disks {
                page.sample(&[("device", &disk.name)], value(disk));
            }
        }
    }

    fn filesystems(page: &mut Page<'_>) {
        let Ok(mut mounts) = procfs::mounts() else {
            return;
        };
        mounts.retain(|mount| mount.fs_spec.starts_with('/'));
        mounts.sort_by(|a, b| a.fs_file.cmp(&b.fs_file));
        // What is mounted over another file system at the same place hides it.
        mounts.dedup_by(|a, b| a.fs_file == b.fs_file);
        let sizes: Vec<_> = mounts
            .iter()
            .filter_map(|mount| Some((mount, rustix::fs::statvfs(mount.fs_file.as_str()).ok()?)))
            .collect();
        type Row = (&'static str, &'static str, fn(&rustix::fs::StatVfs) -> u64);
        let rows: [Row; 5] = [
            (
                "node_filesystem_size_bytes",
                "Size of the file system.",
                |fs| fs.f_blocks * fs.f_frsize,
            ),
            ("node_filesystem_free_bytes", "Free bytes.", |fs| {
                fs.f_bfree * fs.f_frsize
            }),
            (
                "node_filesystem_avail_bytes",
                "Free bytes for users without privileges.",
                |fs| fs.f_bavail * fs.f_frsize,
            ),
            (
                "node_filesystem_files",
                "Files that the file system has room for.",
                |fs| fs.f_files,
            ),
            (
                "node_filesystem_files_free",
                "Files that it still has room for.",
                |fs| fs.f_ffree,
            ),
        ];
        for (name, help, value) in rows {
            page.family(name, help, Gauge);
            for (mount, size) in &sizes {
                let labels = [
                    ("device", &*mount.fs_spec),
                    ("fstype", &mount.fs_vfstype),
                    ("mountpoint", &mount.fs_file),
                ];
                page.sample(&labels, value(size) as f64);
            }
        }
    }

    fn network(page: &mut Page<'_>) {
        let Ok(devices) = procfs::net::dev_status() else {
            return;
        };
        let mut devices: Vec<_> = devices.into_values().collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        type Row = (
            &'static str,
            &'static str,
            fn(&procfs::net::DeviceStatus) -> u64,
        );
        let rows: [Row; 8] = [
            (
                "node_network_receive_bytes_total",
                "Bytes received.",
                |device| device.recv_bytes,
            ),
            (
                "node_network_receive_packets_total",
                "Packets received.",
                |device| device.recv_packets,
            ),
            (
                "node_network_receive_errs_total",
                "Packets received with errors.",
                |device| device.recv_errs,
            ),
            (
                "node_network_receive_drop_total",
                "Packets received and dropped.",
                |device| device.recv_drop,
            ),
            (
                "node_network_transmit_bytes_total",
                "Bytes sent.",
                |device| device.sent_bytes,
            ),
            (
                "node_network_transmit_packets_total",
                "Packets sent.",
                |device| device.sent_packets,
            ),
            (
                "node_network_transmit_errs_total",
                "Packets not sent for errors.",
                |device| device.sent_errs,
            ),
            (
                "node_network_transmit_drop_total",
                "Packets dropped before they were sent.",
                |device| device.sent_drop,
            ),
        ];
        for (name, help, value) in rows {
            page.family(name, help, Counter);
            for device in &devices {
                page.sample(&[("device", &device.name)], value(device) as f64);
            }
        }
    }

    /// A family of one sample without labels.
    fn one(page: &mut Page<'_>, name: &str, help: &str, kind: MetricType, value: f64) {
        page.family(name, help, kind);
        page.sample(&[], value);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use headwater_exposition::{Escaping, Protocol, Registry};

    use super::*;

    #[test]
    fn shows_processors_memory_disks_and_network() {
        let registry = Registry::new();
        registry.register(Host);
        let text =
            String::from_utf8(registry.write(Protocol::PrometheusText0_0_4, Escaping::Underscores))
                .unwrap();
        for start in [
            "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} ",
            "node_memory_MemTotal_bytes ",
            "node_load1 ",
            "node_filesystem_size_bytes{",
            "node_network_receive_bytes_total{device=\"lo\"} ",
        ] {
            assert!(
                text.lines().any(|line| line.starts_with(start)),
                "{start} is missing:\n{text}"
            );
        }
    }
}
