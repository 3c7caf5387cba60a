//! Programs that are started, asked, signalled and killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use crate::{PATIENCE, eventually};

static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// The path of an example program, built first if it has to be.
///
/// # Panics
/// It does not build.
pub fn program(name: &str) -> PathBuf {
    let mut built = BUILT.lock().unwrap();
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", name, "--message-format=json"])
        .current_dir(crate::workspace())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{name} does not build");
    let path = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable");
    built.insert(name.to_owned(), path.clone());
    path
}

/// A port of the loopback address that nobody used a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Running {
    /// Starts a program and collects what it prints.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(path: &Path, arguments: &[String], folder: &Path) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()));
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("a pipe"), output.clone());
        collect(child.stderr.take().expect("a pipe"), output.clone());
        Self { child, output }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    ///
    /// # Panics
    /// A reading thread panicked.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// The system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the system knows its children")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the program ends", || self.ended())
    }

    /// Kills it without warning, as a crash would.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("the program is gone");
    }

    /// Sends a signal.
    #[expect(
        unsafe_code,
        reason = "the standard library sends no signal but SIGKILL"
    )]
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes two numbers and touches no memory; the child was not waited for, so its id is its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Asks it to stop and waits for it.
    ///
    /// # Panics
    /// It does not stop in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- output of the program\n{}---", self.output());
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, output: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    });
}

/// A server with a configuration file and a data folder of its own.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Running,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    path: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    /// The path that answers 200 once the server is ready.
    ready: &'static str,
}

impl Server {
    /// Starts our Loki on `folder`: its `loki.yaml`.
    pub fn loki(folder: &Path) -> Self {
        Self::loki_at(&program("loki"), folder)
    }

    /// Starts any server with Loki's flags on `folder`: its `loki.yaml`.
    pub fn loki_at(path: &Path, folder: &Path) -> Self {
        let port = free_port();
        let arguments = vec![
            format!("-config.file={}", folder.join("loki.yaml").display()),
            "-server.http-listen-address=127.0.0.1".to_owned(),
            format!("-server.http-listen-port={port}"),
            "-server.grpc-listen-address=127.0.0.1".to_owned(),
            "-server.grpc-listen-port=0".to_owned(),
        ];
        Self::run(path, folder, arguments, port, "/ready")
    }

    /// Starts our Prometheus on `folder`: its `prometheus.yml`, its `data`.
    pub fn prometheus(folder: &Path, more: &[&str]) -> Self {
        Self::start(&program("prometheus"), folder, more)
    }

    /// Starts any server with Prometheus's flags and waits until it is ready.
    ///
    /// # Panics
    /// It ends, or is not ready in time.
    pub fn start(path: &Path, folder: &Path, more: &[&str]) -> Self {
        let port = free_port();
        let mut arguments = vec![
            format!("--config.file={}", folder.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-lifecycle".to_owned(),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        Self::run(path, folder, arguments, port, "/-/ready")
    }

    /// Starts VictoriaMetrics (one process) on `folder` and waits until it answers.
    pub fn victoria_metrics(path: &Path, folder: &Path) -> Self {
        let port = free_port();
        let arguments = vec![
            format!("-storageDataPath={}", folder.join("data").display()),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-retentionPeriod=10y".to_owned(),
            // Samples are found at once, as they are in the others.
            "-search.latencyOffset=0s".to_owned(),
        ];
        Self::run(path, folder, arguments, port, "/health")
    }

    fn run(
        path: &Path,
        folder: &Path,
        arguments: Vec<String>,
        port: u16,
        ready: &'static str,
    ) -> Self {
        let process = Running::start(path, &arguments, folder);
        let mut server = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            path: path.to_owned(),
            arguments,
            folder: folder.to_owned(),
            ready,
        };
        server.await_ready();
        server
    }

    /// Kills it and starts it again on the same data.
    pub fn crash_and_restart(&mut self) {
        self.process.kill();
        self.process = Running::start(&self.path, &self.arguments, &self.folder);
        self.await_ready();
    }

    fn await_ready(&mut self) {
        let url = format!("{}{}", self.url, self.ready);
        let start = std::time::Instant::now();
        loop {
            if crate::api::get(&url).is_ok_and(|answer| answer.status == 200) {
                return;
            }
            if let Some(status) = self.process.ended() {
                panic!("the server ended with {status}:\n{}", self.process.output());
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the server is not ready:\n{}",
                self.process.output()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// What a program that ran to its end has used.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Whether it said so.
    pub success: bool,
    /// CPU seconds, in user and kernel mode.
    pub cpu: f64,
    /// Seconds.
    pub wall: f64,
    /// The most memory that it held, in MiB.
    pub peak_mib: f64,
    /// What it printed.
    pub output: String,
}

/// Runs a program to its end and says what it used.
///
/// # Panics
/// It does not start.
#[expect(
    unsafe_code,
    clippy::zombie_processes,
    reason = "the standard library does not tell what a child has used; wait4 waits for it instead"
)]
pub fn run_to_end(path: &Path, arguments: &[String], folder: &Path) -> Usage {
    let output = tempfile::tempfile().expect("a temporary file");
    let start = std::time::Instant::now();
    let child = Command::new(path)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output.try_clone().expect("a third handle"))
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()));
    let (mut status, pid) = (0, child.id() as libc::pid_t);
    // SAFETY: an all-zero rusage is a valid value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for writes of their types during the call, and the child has
    // not been waited for, so its id is its own.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    assert_eq!(waited, pid, "{} cannot be waited for", path.display());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Usage {
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall: start.elapsed().as_secs_f64(),
        peak_mib: usage.ru_maxrss as f64 / 1024.0,
        output: printed(output),
    }
}

fn printed(mut file: std::fs::File) -> String {
    use std::io::Seek;
    let mut bytes = Vec::new();
    let _ = file.rewind();
    let _ = file.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
