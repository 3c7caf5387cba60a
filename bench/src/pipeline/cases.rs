//! The cases: what goes in, what must come out, and how each program is told.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::process::{Running, free_port};
use tempfile::TempDir;

use crate::measure::{cpu_seconds, peak_memory_mib};

use super::contender::Contender;
use super::load::{Load, send};
use super::sink::Sink;

/// No case takes longer than this.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is seen whether a case is done.
const GLANCE: Duration = Duration::from_millis(5);

/// What goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// Framed messages over TCP.
    Frames,
    /// Lines over TCP.
    Lines,
    /// A log file that is there from the start.
    File,
}

/// What shows that everything was done.
#[derive(Clone, Copy, Debug)]
enum Done {
    /// All of it arrived in a file.
    InFile,
    /// The lines that tell of a failure arrived in a file.
    FailuresInFile,
    /// All of it arrived at a receiver.
    AtReceiver,
    /// The counter says so.
    Counted,
}

/// Work for everyone who can do it.
pub(super) struct Case {
    pub(super) what: &'static str,
    feed: Feed,
    done: Done,
    hekad: fn(&Scene) -> String,
    rsyslog: Option<fn(&Scene) -> String>,
}

/// What a run spent.
pub(super) struct Spent {
    /// Nanoseconds of CPU a message.
    pub(super) cpu_nanos: f64,
    pub(super) peak_mib: f64,
}

/// Where a run takes place.
pub(super) struct Scene {
    folder: TempDir,
    port: u16,
    sink: Sink,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn out(&self) -> String {
        self.path("out").display().to_string()
    }
}

pub(super) const CASES: &[Case] = &[
    Case {
        what: "TCP frames to counter",
        feed: Feed::Frames,
        done: Done::Counted,
        hekad: |scene| format!("{}{}", frames_in(scene), counter(scene)),
        rsyslog: None,
    },
    Case {
        what: "and 16 outputs that never match",
        feed: Feed::Frames,
        done: Done::Counted,
        hekad: |scene| format!("{}{}{}", frames_in(scene), counter(scene), never(scene)),
        rsyslog: None,
    },
    Case {
        what: "TCP frames to file",
        feed: Feed::Frames,
        done: Done::InFile,
        hekad: |scene| format!("{}{}", frames_in(scene), frames_out(scene)),
        rsyslog: None,
    },
    Case {
        what: "TCP frames through the disk queue to file",
        feed: Feed::Frames,
        done: Done::InFile,
        hekad: |scene| {
            format!(
                "{}{}use_buffering = true\n",
                frames_in(scene),
                frames_out(scene)
            )
        },
        rsyslog: None,
    },
    Case {
        what: "TCP lines to file",
        feed: Feed::Lines,
        done: Done::InFile,
        hekad: |scene| {
            let input = format!(
                "[TcpInput]\naddress = '127.0.0.1:{}'\nsplitter = 'TokenSplitter'\n\
                 decoder = 'plain'\n[plain]\ntype = 'ScribbleDecoder'\n",
                scene.port
            );
            format!("{}{input}{}", head(scene), lines_out(scene, "TRUE"))
        },
        rsyslog: Some(|scene| {
            format!(
                "module(load=\"imptcp\")\ninput(type=\"imptcp\" address=\"127.0.0.1\" port=\"{}\" \
                 supportOctetCountedFraming=\"off\")\n{}",
                scene.port,
                rsyslog_file(scene, "%rawmsg%")
            )
        }),
    },
    Case {
        what: "log file to file",
        feed: Feed::File,
        done: Done::InFile,
        hekad: |scene| format!("{}{}", log_in(scene, ""), lines_out(scene, "TRUE")),
        rsyslog: Some(|scene| format!("{}{}", rsyslog_log(scene), rsyslog_file(scene, "%msg%"))),
    },
    Case {
        what: "log file to TCP",
        feed: Feed::File,
        done: Done::AtReceiver,
        hekad: |scene| {
            let output = format!(
                "[TcpOutput]\nmessage_matcher = 'TRUE'\naddress = '127.0.0.1:{}'\nencoder = 'PayloadEncoder'\n\
                 use_buffering = false\n[PayloadEncoder]\nappend_newlines = false\n",
                scene.sink.port
            );
            format!("{}{output}", log_in(scene, ""))
        },
        rsyslog: Some(|scene| {
            format!(
                "{}template(name=\"line\" type=\"string\" string=\"%msg%\")\n\
                 action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" template=\"line\")\n",
                rsyslog_log(scene),
                scene.sink.port
            )
        }),
    },
    Case {
        what: "log file, lines that a pattern finds to file",
        feed: Feed::File,
        done: Done::FailuresInFile,
        hekad: |scene| {
            let matcher = "Payload =~ /\"(GET|POST) [^ ]+ HTTP.1.[01]\" 50[0-9] /";
            format!("{}{}", log_in(scene, ""), lines_out(scene, matcher))
        },
        rsyslog: Some(|scene| {
            let file = rsyslog_file(scene, "%msg%");
            let (template, action) = file.split_at(file.find("action").unwrap_or(0));
            format!(
                "{}{template}if re_match($msg, '\"(GET|POST) [^ ]+ HTTP.1.[01]\" 50[0-9] ') then {{\n{action}}}\n",
                rsyslog_log(scene)
            )
        }),
    },
    Case {
        what: "log file, pattern of 8 groups, to counter",
        feed: Feed::File,
        done: Done::Counted,
        hekad: |scene| {
            format!(
                "{}{EIGHT_GROUPS}{}",
                log_in(scene, "decoder = 'groups'\n"),
                counter(scene)
            )
        },
        rsyslog: None,
    },
];

const EIGHT_GROUPS: &str = r#"[groups]
type = "PayloadRegexDecoder"
match_regex = '^(?P<Ip>\S+) \S+ (?P<User>\S+) \[[^\]]+\] "(?P<Method>[A-Z\-]+) (?P<Url>[^\s]+)[^"]*" (?P<Status>\d+) (?P<Size>\d+) "(?P<Ref>[^"]*)" "(?P<Browser>[^"]*)"'
[groups.message_fields]
ip = "%Ip%"
user = "%User%"
method = "%Method%"
url = "%Url%"
status = "%Status%"
size = "%Size%"
ref = "%Ref%"
browser = "%Browser%"
"#;

fn head(scene: &Scene) -> String {
    format!(
        "[hekad]\nbase_dir = '{}'\nmaxprocs = 2\n",
        scene.path("base").display()
    )
}

fn frames_in(scene: &Scene) -> String {
    format!(
        "{}[TcpInput]\naddress = '127.0.0.1:{}'\n",
        head(scene),
        scene.port
    )
}

fn frames_out(scene: &Scene) -> String {
    format!(
        "[FileOutput]\nmessage_matcher = 'TRUE'\npath = '{}'\nencoder = 'ProtobufEncoder'\n",
        scene.out()
    )
}

fn log_in(scene: &Scene, more: &str) -> String {
    format!(
        "{}[logs]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log'\n{more}",
        head(scene),
        scene.path("logs").display()
    )
}

fn lines_out(scene: &Scene, matcher: &str) -> String {
    format!(
        "[FileOutput]\nmessage_matcher = '''{matcher}'''\npath = '{}'\nencoder = 'PayloadEncoder'\n\
         [PayloadEncoder]\nappend_newlines = false\n",
        scene.out()
    )
}

/// Counts; what it counted comes into the file every second.
fn counter(scene: &Scene) -> String {
    format!(
        "[CounterFilter]\nticker_interval = 1\n[counts]\ntype = 'FileOutput'\n\
         message_matcher = \"Type == 'heka.counter-output'\"\npath = '{}'\nencoder = 'PayloadEncoder'\n\
         flush_interval = 10\n[PayloadEncoder]\n",
        scene.out()
    )
}

fn never(scene: &Scene) -> String {
    let output = |number: usize| {
        format!(
            "[never{number}]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'never{number}' && Severity < 3\"\n\
             path = '{}'\nencoder = 'ProtobufEncoder'\n",
            scene.path(&format!("never{number}")).display()
        )
    };
    (0..16).map(output).collect()
}

fn rsyslog_log(scene: &Scene) -> String {
    format!(
        "global(workDirectory=\"{}\")\nmodule(load=\"imfile\" mode=\"inotify\")\n\
         input(type=\"imfile\" file=\"{}\" tag=\"app\")\n",
        scene.folder.path().display(),
        scene.path("logs/app.log").display()
    )
}

fn rsyslog_file(scene: &Scene, text: &str) -> String {
    format!(
        "template(name=\"whole\" type=\"string\" string=\"{text}\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"whole\")\n",
        scene.out()
    )
}

impl Case {
    /// Lets a program do the work; `None` if it cannot.
    pub(super) fn run(&self, contender: &Contender, load: &Load) -> Option<Spent> {
        let scene = Scene {
            folder: tempfile::tempdir().expect("a folder for the run"),
            port: free_port(),
            sink: Sink::start(),
        };
        let config = match (contender.is_hekad(), self.rsyslog) {
            (true, _) => (self.hekad)(&scene),
            (false, Some(config)) => config(&scene),
            (false, None) => return None,
        };
        for folder in ["base", "logs"] {
            fs::create_dir(scene.path(folder)).expect("the folder can be written");
        }
        if self.feed == Feed::File {
            load.write_lines(&scene.path("logs/app.log"));
        }
        let mut program = contender.start(scene.folder.path(), &config);
        let _open = match self.feed {
            Feed::Frames => Some(send(scene.port, &load.frames, load.repeat)),
            Feed::Lines => Some(send(scene.port, &load.lines, load.repeat)),
            Feed::File => None,
        };
        self.wait(&scene, load, &mut program);
        Some(Spent {
            cpu_nanos: cpu_seconds(program.id()) * 1e9 / load.count() as f64,
            peak_mib: peak_memory_mib(program.id()),
        })
    }

    fn wait(&self, scene: &Scene, load: &Load, program: &mut Running) {
        let started = Instant::now();
        while !self.is_done(scene, load) {
            if let Some(status) = program.ended() {
                panic!("{}: ended with {status}:\n{}", self.what, program.output());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{}: not done in time:\n{}",
                self.what,
                program.output()
            );
            thread::sleep(GLANCE);
        }
    }

    fn is_done(&self, scene: &Scene, load: &Load) -> bool {
        let length =
            |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len()) as usize;
        let all = match self.feed {
            Feed::Frames => load.frames.len() * load.repeat,
            Feed::Lines | Feed::File => load.lines.len() * load.repeat,
        };
        match self.done {
            Done::InFile => length(scene.path("out")) >= all,
            Done::FailuresInFile => length(scene.path("out")) >= load.failing_bytes(),
            Done::AtReceiver => scene.sink.bytes() >= all,
            Done::Counted => {
                let text = fs::read_to_string(scene.path("out")).unwrap_or_default();
                counted(&text) >= load.count()
            }
        }
    }
}

/// The last number in lines like `Got 5 messages. 1.00 msg/sec`.
fn counted(text: &str) -> usize {
    let numbers = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("Got ")?;
        rest.split(' ').next()?.parse().ok()
    });
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_read_from_what_the_counter_says() {
        let text = "Got 5 messages. 1.00 msg/sec\nAGG Sum. Min: 1\nGot 70 messages. 3.00 msg/sec\n";
        assert_eq!(super::counted(text), 70);
    }
}
