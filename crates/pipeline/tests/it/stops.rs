//! Whatever is stuck, a pipeline stops in time: every small pipeline of
//! inputs that never pause, a filter that injects without end, and outputs
//! that deliver nothing, behind queues of every kind, filled to the brim.

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::flow::Delivery;
use headwater_pipeline::message::Message;
use headwater_pipeline::plugin::{
    BuildContext, BuildError, Filter, FilterContext, Input, InputContext, NoSettings, Output,
    OutputContext, Plugin, Registry, Undelivered,
};
use headwater_pipeline::topology::Topology;

use super::pipelines::wait_until;

/// `stop_timeout` of every pipeline, and what it may take altogether: the
/// time that threads get to notice, and a busy machine.
const DEADLINE: Duration = Duration::from_millis(100);
const ALTOGETHER: Duration = Duration::from_secs(5);

/// Emits as fast as it may.
struct Flood;

impl Plugin for Flood {
    const TYPE: &'static str = "FloodInput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<Flood, BuildError> {
        Ok(Flood)
    }
}

impl Input for Flood {
    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let mut emitter = cx.emitter();
        while !cx.stop().is_raised() {
            let message = Message {
                kind: Some("flood".into()),
                ..cx.template()
            };
            if emitter.emit(vec![message.into()], None).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Injects ten messages for each it sees.
struct Multiply;

impl Plugin for Multiply {
    const TYPE: &'static str = "MultiplyFilter";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<Multiply, BuildError> {
        Ok(Multiply)
    }
}

impl Filter for Multiply {
    fn process(&mut self, delivery: &Delivery, cx: &mut FilterContext) -> Result<(), String> {
        for _ in 0..delivery.len() * 10 {
            let message = cx.message();
            cx.inject(message);
        }
        Ok(())
    }
}

/// Takes one delivery and keeps it until the pipeline gives up.
struct Hold;

impl Plugin for Hold {
    const TYPE: &'static str = "HoldOutput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<Hold, BuildError> {
        Ok(Hold)
    }
}

impl Output for Hold {
    fn deliver(&mut self, delivery: Delivery, cx: &mut OutputContext) -> Result<(), Undelivered> {
        while !cx.wait(Duration::from_secs(60)) {}
        drop(delivery);
        Ok(())
    }
}

/// Offers every delivery again, for ever.
struct Refuse;

impl Plugin for Refuse {
    const TYPE: &'static str = "RefuseOutput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<Refuse, BuildError> {
        Ok(Refuse)
    }
}

impl Output for Refuse {
    fn deliver(&mut self, delivery: Delivery, _: &mut OutputContext) -> Result<(), Undelivered> {
        Err(Undelivered::retry(delivery, "not now"))
    }
}

fn start(base: &Path, sections: &str) -> Topology {
    let mut registry = Registry::new();
    registry
        .input::<Flood>()
        .filter::<Multiply>()
        .output::<Hold>()
        .output::<Refuse>();
    let text = format!(
        "[hekad]\nbase_dir = '{}'\nstop_timeout = '{}ms'\n{sections}",
        base.display(),
        DEADLINE.as_millis()
    );
    let config = Config::from_text("test", &text).unwrap();
    Topology::start(Plan::new(&config, &registry).unwrap()).unwrap()
}

const QUEUES: [&str; 4] = [
    "[%.queue]\nmax_bytes = 1000\n",
    "[%.queue]\nmax_bytes = 1000\nwhen_full = 'drop_newest'\n",
    "[%.queue]\nmax_bytes = 1000\nwhen_full = 'drop_oldest'\n",
    "use_buffering = true\n[%.buffering]\nmax_buffer_size = 200000\nfull_action = 'block'\n",
];

/// All pipelines of up to two inputs, with and without a filter that feeds
/// the outputs, and one or both outputs behind one kind of queue.
fn pipelines() -> Vec<String> {
    let section = |name: &str, kind: &str, queue: &str| {
        let queue = queue.replace('%', name);
        format!("[{name}]\ntype = '{kind}'\nmessage_matcher = 'TRUE'\n{queue}")
    };
    let inputs = ["[a]\ntype = 'FloodInput'\n", "[b]\ntype = 'FloodInput'\n"];
    let mut all = Vec::new();
    for queue in QUEUES {
        for inputs in [inputs[0].to_owned(), inputs.concat()] {
            for filter in [None, Some("filter")] {
                let filter = filter.map_or_else(String::new, |name| {
                    section(name, "MultiplyFilter", queue).replace("'TRUE'", "\"Type == 'flood'\"")
                });
                let hold = section("hold", "HoldOutput", queue);
                let refuse = section("refuse", "RefuseOutput", queue);
                for outputs in [hold.clone(), refuse.clone(), format!("{hold}{refuse}")] {
                    all.push(format!("{inputs}{filter}{outputs}"));
                }
            }
        }
    }
    all
}

/// Whether something is stuck: every output holds as much as it may.
fn is_full(topology: &Topology) -> bool {
    let report = topology.report();
    let number = |stats: &[(String, u64)], name: &str| {
        stats
            .iter()
            .find(|(known, _)| known == name)
            .map_or(0, |(_, value)| *value)
    };
    let outputs = report
        .plugins
        .iter()
        .filter(|plugin| plugin.kind == "outputs");
    let mut full = outputs.map(|output| {
        let in_memory =
            number(&output.stats, "InChanBytes") * 2 > number(&output.stats, "InChanMaxBytes");
        in_memory || number(&output.stats, "QueueBytesOnDisk") > 100_000
    });
    full.all(|full| full)
}

#[test]
fn of_every_kind_end_in_time() {
    let all = pipelines();
    assert_eq!(all.len(), 4 * 2 * 2 * 3);
    for sections in all {
        let base = tempfile::tempdir().unwrap();
        let mut topology = start(base.path(), &sections);
        wait_until("everything is full", || is_full(&topology));
        let started = Instant::now();
        let stopped = topology.stop();
        assert!(
            started.elapsed() < ALTOGETHER,
            "took {:?}:\n{sections}",
            started.elapsed()
        );
        assert_eq!(stopped.stuck, [], "{sections}");
    }
}
