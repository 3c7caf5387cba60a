//! Runs the providers that settings ask for, and tells their targets by set.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_model::TargetGroup;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::config::DiscoveryConfigs;
use crate::mechanism::Mechanism;
use crate::metrics::Metrics;
use crate::provider::{Update, Updates, WAITING_UPDATES};
use crate::throttle::Throttle;

/// All targets by set: by job, or by set of Alertmanagers. Every set that settings name is there,
/// with or without groups; groups without targets are not.
pub type TargetSets = BTreeMap<String, Vec<Arc<TargetGroup>>>;

/// How often changes are told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerSettings {
    /// How long changes are collected after a quiet time.
    pub shortest_wait: Duration,
    /// How often changes are told if they do not end.
    pub longest_wait: Duration,
}

impl Default for ManagerSettings {
    fn default() -> Self {
        Self {
            shortest_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// The settings of all sets, and where to say how many failed.
type Command = (BTreeMap<String, DiscoveryConfigs>, oneshot::Sender<usize>);

/// Changes what a manager looks for, and hands out what it finds. Clones speak to the same manager.
#[derive(Clone, Debug)]
pub struct Manager {
    commands: mpsc::Sender<Command>,
    targets: watch::Receiver<Arc<TargetSets>>,
}

impl Manager {
    /// A manager, and the driver that has to run for it to do anything. `name` tells several apart in
    /// metrics: Prometheus has `scrape` and `notify`.
    #[must_use]
    pub fn new(name: &str, settings: &ManagerSettings, metrics: &Metrics) -> (Self, Driver) {
        let (commands, received) = mpsc::channel(1);
        let (updates, found) = mpsc::channel(WAITING_UPDATES);
        let (tell, targets) = watch::channel(Arc::default());
        let driver = Driver {
            commands: received,
            found,
            tell,
            untold: None,
            throttle: Throttle::new(settings.shortest_wait, settings.longest_wait),
            state: State {
                name: name.to_owned(),
                metrics: metrics.clone(),
                patience: settings.longest_wait,
                told: Arc::default(),
                updates,
                tasks: JoinSet::new(),
                next_id: 0,
                providers: HashMap::new(),
                found: HashMap::new(),
                sets: BTreeMap::new(),
            },
        };
        (Self { commands, targets }, driver)
    }

    /// Takes the settings of all sets: providers that are still wanted go on with what they found,
    /// others end, new ones begin. Answers how many could not be made; each is logged.
    pub async fn apply(&self, configs: BTreeMap<String, DiscoveryConfigs>) -> usize {
        let (reply, failed) = oneshot::channel();
        if self.commands.send((configs, reply)).await.is_err() {
            return 0;
        }
        failed.await.unwrap_or(0)
    }

    /// The targets, and whenever they change. Who is slow sees the newest only.
    #[must_use]
    pub fn targets(&self) -> watch::Receiver<Arc<TargetSets>> {
        self.targets.clone()
    }
}

/// Does the work of a manager while it runs; dropping it ends all providers.
#[derive(Debug)]
pub struct Driver {
    commands: mpsc::Receiver<Command>,
    found: mpsc::Receiver<Update>,
    tell: watch::Sender<Arc<TargetSets>>,
    /// When what changed is to be told, if something did.
    untold: Option<Instant>,
    throttle: Throttle,
    state: State,
}

impl Driver {
    /// Runs until every [`Manager`] is dropped.
    pub async fn run(mut self) {
        loop {
            let due = self.untold.unwrap_or_else(Instant::now);
            tokio::select! {
                command = self.commands.recv() => {
                    let Some((configs, reply)) = command else { return };
                    // Whoever does not wait for the answer does not want it.
                    let _ = reply.send(self.state.apply(configs));
                    self.changed();
                }
                Some((provider, groups)) = self.found.recv() => {
                    if self.state.take(provider, groups) {
                        self.changed();
                    }
                }
                // Providers end when they have told all there is.
                Some(_) = self.state.tasks.join_next() => {}
                () = tokio::time::sleep_until(due), if self.untold.is_some() => self.tell(),
            }
        }
    }

    fn changed(&mut self) {
        let now = Instant::now();
        match self.untold {
            None => self.untold = Some(self.throttle.due(now)),
            Some(_) => self
                .state
                .metrics
                .updates_delayed
                .with(&[&self.state.name])
                .inc(),
        }
    }

    fn tell(&mut self) {
        self.untold = None;
        self.throttle.told(Instant::now());
        let name = self.state.name.as_str();
        self.state.metrics.updates.with(&[name]).inc();
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.state
                .metrics
                .last_update
                .with(&[name])
                .set(now.as_secs_f64());
        }
        let (sets, again) = self.state.target_sets(Instant::now());
        self.untold = again;
        self.tell.send_replace(sets);
    }
}

/// What is wanted and what was found.
#[derive(Debug)]
struct State {
    name: String,
    metrics: Metrics,
    /// How long a new provider is waited for before the targets of the one it replaces are dropped.
    patience: Duration,
    told: Arc<TargetSets>,
    updates: mpsc::Sender<Update>,
    tasks: JoinSet<()>,
    next_id: u64,
    /// The running provider of each mechanism.
    providers: HashMap<Mechanism, u64>,
    found: HashMap<u64, Found>,
    /// The mechanisms of each set.
    sets: BTreeMap<String, Vec<Mechanism>>,
}

/// A running provider and its groups by source.
#[derive(Debug)]
struct Found {
    began: Instant,
    /// Whether it has sent anything yet.
    spoke: bool,
    task: AbortHandle,
    groups: BTreeMap<String, Arc<TargetGroup>>,
}

impl State {
    fn apply(&mut self, configs: BTreeMap<String, DiscoveryConfigs>) -> usize {
        for gone in self.sets.keys().filter(|set| !configs.contains_key(*set)) {
            self.metrics.discovered_targets.remove(&[&self.name, gone]);
        }
        let sets = configs
            .into_iter()
            .map(|(set, config)| (set, config.mechanisms().collect()));
        self.sets = sets.collect();
        self.end_unwanted();
        let failed = self.start_wanted();
        #[expect(
            clippy::cast_precision_loss,
            reason = "nobody has 2^52 sections of settings"
        )]
        self.metrics
            .failed_configs
            .with(&[&self.name])
            .set(failed as f64);
        failed
    }

    fn end_unwanted(&mut self) {
        let wanted: std::collections::HashSet<_> = self.sets.values().flatten().collect();
        let Self {
            providers, found, ..
        } = self;
        providers.retain(|mechanism, id| {
            let stays = wanted.contains(mechanism);
            if !stays && let Some(gone) = found.remove(id) {
                gone.task.abort();
            }
            stays
        });
    }

    fn start_wanted(&mut self) -> usize {
        let mut failed = 0;
        for (set, mechanism) in self
            .sets
            .iter()
            .flat_map(|(set, all)| all.iter().map(move |each| (set, each)))
        {
            if self.providers.contains_key(mechanism) {
                continue;
            }
            match mechanism.provider(set, &self.metrics) {
                Ok(provider) => {
                    self.next_id += 1;
                    let updates = Updates::new(self.next_id, self.updates.clone());
                    let task = self.tasks.spawn(provider.run(updates));
                    self.found.insert(
                        self.next_id,
                        Found {
                            began: Instant::now(),
                            spoke: false,
                            task,
                            groups: BTreeMap::new(),
                        },
                    );
                    self.providers.insert(mechanism.clone(), self.next_id);
                }
                Err(error) => {
                    failed += 1;
                    let discovery = mechanism.name();
                    tracing::error!(discovery, config = set, %error, "Cannot create service discovery");
                }
            }
        }
        failed
    }

    /// Takes what a provider found; true if it changes anything.
    fn take(&mut self, provider: u64, groups: Vec<TargetGroup>) -> bool {
        self.metrics.received_updates.with(&[&self.name]).inc();
        // A provider that has ended may have sent before it did.
        let Some(found) = self.found.get_mut(&provider) else {
            return false;
        };
        let mut changed = !std::mem::replace(&mut found.spoke, true);
        for group in groups {
            let same = match group.targets.is_empty() {
                true => found.groups.remove(&group.source).is_none(),
                false => {
                    let before = found.groups.get(&group.source);
                    let same = before.is_some_and(|before| **before == group);
                    if !same {
                        found.groups.insert(group.source.clone(), Arc::new(group));
                    }
                    same
                }
            };
            changed |= !same;
        }
        changed
    }

    /// All targets now; and when to ask again, if a set still waits for a provider.
    ///
    /// A set whose settings changed keeps its targets until the new providers have spoken, or have
    /// been silent for too long: a reload must not make every target of a job disappear for a moment.
    fn target_sets(&mut self, now: Instant) -> (Arc<TargetSets>, Option<Instant>) {
        let mut sets = TargetSets::new();
        let mut again: Option<Instant> = None;
        for (set, mechanisms) in &self.sets {
            let ids = mechanisms
                .iter()
                .filter_map(|mechanism| self.providers.get(mechanism));
            let found: Vec<_> = ids.filter_map(|id| self.found.get(id)).collect();
            let silent = found
                .iter()
                .filter(|found| !found.spoke)
                .map(|found| found.began + self.patience);
            let before = self.told.get(set).filter(|groups| !groups.is_empty());
            let groups = match (before, silent.max().filter(|until| *until > now)) {
                (Some(before), Some(until)) => {
                    again = Some(again.map_or(until, |soonest| soonest.min(until)));
                    before.clone()
                }
                _ => found
                    .iter()
                    .flat_map(|found| found.groups.values().cloned())
                    .collect(),
            };
            let count: usize = groups.iter().map(|group| group.targets.len()).sum();
            #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 targets")]
            self.metrics
                .discovered_targets
                .with(&[&self.name, set])
                .set(count as f64);
            sets.insert(set.clone(), groups);
        }
        self.told = Arc::new(sets);
        (self.told.clone(), again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::CustomMechanism;
    use crate::provider::{Provider, Running};
    use headwater_exposition::registry::Registry;
    use headwater_model::Labels;
    use parking_lot::Mutex;

    /// A provider whose groups the test sends by hand.
    #[derive(Clone, Default)]
    struct ByHand(Arc<Mutex<Vec<Updates>>>);

    impl Provider for ByHand {
        fn run(self: Box<Self>, out: Updates) -> Running {
            self.0.lock().push(out);
            Box::pin(std::future::pending())
        }
    }

    impl ByHand {
        fn configs(&self, identity: &str) -> DiscoveryConfigs {
            let hand = self.clone();
            DiscoveryConfigs {
                custom: vec![CustomMechanism::new("hand", identity, move || {
                    Box::new(hand.clone())
                })],
                ..DiscoveryConfigs::default()
            }
        }

        async fn send(&self, provider: usize, source: &str, targets: &[&str]) {
            let out = self.0.lock()[provider].clone();
            out.send(vec![group(source, targets)]).await;
        }
    }

    fn group(source: &str, targets: &[&str]) -> TargetGroup {
        let target = |target: &&str| Labels::from_pairs([("__address__", *target)]);
        TargetGroup {
            source: source.to_owned(),
            labels: Labels::empty(),
            targets: targets.iter().map(target).collect(),
        }
    }

    fn start() -> (Manager, watch::Receiver<Arc<TargetSets>>, Registry) {
        let registry = Registry::new();
        let (manager, driver) = Manager::new(
            "scrape",
            &ManagerSettings::default(),
            &Metrics::new(&registry),
        );
        tokio::spawn(driver.run());
        let targets = manager.targets();
        (manager, targets, registry)
    }

    /// What is told next: addresses by set.
    async fn told(targets: &mut watch::Receiver<Arc<TargetSets>>) -> Vec<(String, Vec<String>)> {
        targets.changed().await.unwrap();
        let sets = targets.borrow_and_update().clone();
        let addresses = |groups: &Vec<Arc<TargetGroup>>| {
            let targets = groups.iter().flat_map(|group| &group.targets);
            targets
                .map(|target| target.get("__address__").unwrap().to_owned())
                .collect()
        };
        sets.iter()
            .map(|(set, groups)| (set.clone(), addresses(groups)))
            .collect()
    }

    fn sets(of: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let owned = |targets: &&[&str]| targets.iter().map(|target| (*target).to_owned()).collect();
        of.iter()
            .map(|(set, targets)| ((*set).to_owned(), owned(targets)))
            .collect()
    }

    fn configs<const N: usize>(
        of: [(&str, DiscoveryConfigs); N],
    ) -> BTreeMap<String, DiscoveryConfigs> {
        of.into_iter()
            .map(|(set, config)| (set.to_owned(), config))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn sets_with_equal_settings_share_a_provider() {
        let (manager, mut targets, _) = start();
        let hand = ByHand::default();
        assert_eq!(
            manager
                .apply(configs([
                    ("a", hand.configs("x")),
                    ("b", hand.configs("x"))
                ]))
                .await,
            0
        );
        assert_eq!(told(&mut targets).await, sets(&[("a", &[]), ("b", &[])]));
        assert_eq!(hand.0.lock().len(), 1);
        hand.send(0, "s", &["h:1"]).await;
        assert_eq!(
            told(&mut targets).await,
            sets(&[("a", &["h:1"]), ("b", &["h:1"])])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_keeps_what_is_still_wanted() {
        let (manager, mut targets, _) = start();
        let hand = ByHand::default();
        manager.apply(configs([("a", hand.configs("x"))])).await;
        told(&mut targets).await;
        hand.send(0, "s", &["h:1"]).await;
        told(&mut targets).await;
        // A new set with the same settings has the targets at once; the provider was not restarted.
        manager
            .apply(configs([
                ("a", hand.configs("x")),
                ("c", hand.configs("x")),
            ]))
            .await;
        assert_eq!(
            told(&mut targets).await,
            sets(&[("a", &["h:1"]), ("c", &["h:1"])])
        );
        assert_eq!(hand.0.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_keep_targets_until_there_are_new_ones() {
        let (manager, mut targets, _) = start();
        let hand = ByHand::default();
        manager.apply(configs([("a", hand.configs("x"))])).await;
        told(&mut targets).await;
        hand.send(0, "s", &["h:1"]).await;
        told(&mut targets).await;
        manager.apply(configs([("a", hand.configs("y"))])).await;
        assert_eq!(told(&mut targets).await, sets(&[("a", &["h:1"])]));
        // What the old provider still says does not count.
        hand.send(0, "s", &["old:1"]).await;
        hand.send(1, "s", &["new:1"]).await;
        assert_eq!(told(&mut targets).await, sets(&[("a", &["new:1"])]));
        // One that finds nothing has spoken; one that says nothing is waited for, but not for ever.
        manager.apply(configs([("a", hand.configs("z"))])).await;
        assert_eq!(told(&mut targets).await, sets(&[("a", &["new:1"])]));
        let began = Instant::now();
        assert_eq!(told(&mut targets).await, sets(&[("a", &[])]));
        assert!(began.elapsed() >= Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_without_targets_is_gone() {
        let (manager, mut targets, _) = start();
        let hand = ByHand::default();
        manager.apply(configs([("a", hand.configs("x"))])).await;
        told(&mut targets).await;
        hand.send(0, "s", &["h:1"]).await;
        hand.send(0, "t", &["h:2"]).await;
        assert_eq!(told(&mut targets).await, sets(&[("a", &["h:1", "h:2"])]));
        hand.send(0, "s", &[]).await;
        assert_eq!(told(&mut targets).await, sets(&[("a", &["h:2"])]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_nothing_is_not_told() {
        let (manager, mut targets, _) = start();
        let hand = ByHand::default();
        manager.apply(configs([("a", hand.configs("x"))])).await;
        told(&mut targets).await;
        hand.send(0, "s", &["h:1"]).await;
        told(&mut targets).await;
        hand.send(0, "s", &["h:1"]).await;
        hand.send(0, "t", &[]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!targets.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_tell_of_targets_and_updates() {
        let (manager, mut targets, registry) = start();
        manager
            .apply(configs([(
                "a",
                DiscoveryConfigs::of_targets(["h:1", "h:2"]),
            )]))
            .await;
        while told(&mut targets).await != sets(&[("a", &["h:1", "h:2"])]) {}
        let text = |registry: &Registry| {
            use headwater_exposition::{Escaping, Protocol};
            String::from_utf8(registry.write(Protocol::PrometheusText0_0_4, Escaping::Underscores))
                .unwrap()
        };
        let metrics = text(&registry);
        for line in [
            "prometheus_sd_discovered_targets{name=\"scrape\",config=\"a\"} 2\n",
            "prometheus_sd_failed_configs{name=\"scrape\"} 0\n",
            "prometheus_sd_received_updates_total{name=\"scrape\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
        manager.apply(BTreeMap::new()).await;
        told(&mut targets).await;
        assert!(!text(&registry).contains("config=\"a\""));
    }

    #[tokio::test(start_paused = true)]
    async fn without_managers_the_driver_ends() {
        let (manager, driver) = Manager::new(
            "scrape",
            &ManagerSettings::default(),
            &Metrics::new(&Registry::new()),
        );
        let running = tokio::spawn(driver.run());
        drop(manager);
        running.await.unwrap();
    }
}
