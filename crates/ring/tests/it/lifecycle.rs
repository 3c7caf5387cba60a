//! The life of a member, step by step.

use headwater_ring::{Desc, Instance, Lifecycle, LifecycleConfig, LifecycleError, State, Step};

struct World {
    ring: Desc,
    member: Lifecycle,
    next: u32,
    stored: Vec<u32>,
}

impl World {
    fn new(change: impl FnOnce(&mut LifecycleConfig)) -> Self {
        let mut config = LifecycleConfig::new("me", "me:9095");
        config.tokens = 3;
        change(&mut config);
        Self {
            ring: Desc::new(),
            member: Lifecycle::new(config),
            next: 0,
            stored: Vec::new(),
        }
    }

    fn step(&mut self, step: Step, now: i64) -> Result<(), LifecycleError> {
        let next = &mut self.next;
        let random = || {
            *next += 10;
            *next
        };
        self.ring = self
            .member
            .step(step, &self.ring, now, &self.stored, random)?;
        Ok(())
    }

    /// Takes every step that is due, as a driver does each second.
    fn run(&mut self, seconds: std::ops::RangeInclusive<i64>) {
        for now in seconds {
            while let Some(step) = self.member.due(now) {
                self.step(step, now).expect("a due step is legal");
            }
        }
    }

    fn me(&self) -> &Instance {
        &self.ring.instances["me"]
    }
}

#[test]
fn joins_at_once_by_default() {
    let mut world = World::new(|_| {});
    world.run(100..=100);
    assert_eq!(world.me().state, State::Active);
    assert_eq!(world.me().tokens, [10, 20, 30]);
    assert_eq!(world.me().registered, 100);
    world.run(101..=112);
    assert_eq!(
        world.me().heartbeat,
        110,
        "a sign of life every five seconds"
    );
}

#[test]
fn waits_and_observes_if_told_to() {
    let mut world = World::new(|config| {
        config.join_after = 10;
        config.observe_period = 20;
    });
    world.run(0..=9);
    assert_eq!(
        (world.me().state, world.me().tokens.len()),
        (State::Pending, 0)
    );
    world.run(10..=29);
    assert_eq!(
        (world.me().state, world.me().tokens.len()),
        (State::Joining, 3)
    );
    world.run(30..=30);
    assert_eq!(world.me().state, State::Active);
}

#[test]
fn draws_again_what_another_claims_too() {
    let mut world = World::new(|config| config.observe_period = 20);
    world.run(0..=0);
    let other = Instance {
        tokens: vec![20],
        ..Instance::default()
    };
    world.ring.instances.insert("a".to_owned(), other);
    world.run(1..=20);
    assert_eq!(
        (world.me().state, &world.me().tokens[..]),
        (State::Joining, &[10, 30, 40][..])
    );
    world.run(21..=40);
    assert_eq!(world.me().state, State::Active);
}

#[test]
fn tokens_of_an_earlier_life_are_used() {
    let mut world = World::new(|config| config.join_after = 1000);
    world.stored = vec![1, 2, 3];
    world.run(0..=0);
    assert_eq!(
        (world.me().state, &world.me().tokens[..]),
        (State::Active, &[1, 2, 3][..])
    );
}

#[test]
fn an_entry_of_an_earlier_life_is_taken_up() {
    for (found, tokens, state, now_tokens) in [
        (State::Active, vec![5], State::Active, vec![5]),
        (State::Leaving, vec![5], State::Active, vec![5, 10, 20]),
        (
            State::Leaving,
            vec![1, 2, 3, 4],
            State::Active,
            vec![1, 2, 3],
        ),
        (State::Joining, vec![5], State::Pending, vec![]),
    ] {
        let mut world = World::new(|config| config.join_after = 1000);
        let entry = Instance {
            state: found,
            tokens,
            registered: 7,
            ..Instance::default()
        };
        world.ring.instances.insert("me".to_owned(), entry);
        world.step(Step::Start, 50).expect("starts");
        assert_eq!(
            (world.me().state, world.me().tokens.clone()),
            (state, now_tokens)
        );
        assert_eq!(world.me().registered, 7);
    }
}

#[test]
fn a_vanished_entry_is_registered_anew() {
    let mut world = World::new(|_| {});
    world.run(0..=0);
    world.ring = Desc::new();
    world.run(1..=5);
    assert_eq!(
        (world.me().state, &world.me().tokens[..]),
        (State::Active, &[10, 20, 30][..])
    );
}

#[test]
fn leaves_and_goes_on_showing_life_until_it_is_done() {
    let mut world = World::new(|_| {});
    world.run(0..=0);
    world
        .step(Step::Leave, 3)
        .expect("an active member may leave");
    assert_eq!(world.me().state, State::Leaving);
    world.run(4..=20);
    assert_eq!(
        (world.me().state, world.me().heartbeat),
        (State::Leaving, 18)
    );
    world.step(Step::Unregister, 21).expect("it may go");
    assert!(world.ring.instances.is_empty());

    let mut world = World::new(|config| config.unregister = false);
    world.run(0..=0);
    world
        .step(Step::Leave, 3)
        .expect("an active member may leave");
    world.step(Step::Unregister, 4).expect("it may go");
    assert_eq!(world.me().state, State::Leaving, "its entry stays");
}

#[test]
fn illegal_changes_are_refused() {
    let mut world = World::new(|config| config.join_after = 1000);
    world.run(0..=0);
    let error = world
        .step(Step::Leave, 1)
        .expect_err("a pending member cannot leave");
    assert_eq!(
        error.to_string(),
        "changing instance state from PENDING to LEAVING is disallowed"
    );
    let legal: Vec<String> = State::ALL
        .iter()
        .flat_map(|from| State::ALL.map(|to| (*from, to)))
        .filter(|(from, to)| from.may_become(*to))
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    assert_eq!(
        legal,
        [
            "ACTIVE>LEAVING",
            "PENDING>ACTIVE",
            "PENDING>JOINING",
            "JOINING>ACTIVE",
            "JOINING>PENDING"
        ]
    );
}

#[test]
fn readiness_says_what_it_waits_for() {
    let mut world = World::new(|_| {});
    let ready = |world: &World, now| world.member.not_ready(&world.ring, now, 60);
    assert_eq!(ready(&world, 0).as_deref(), Some("not in the ring yet"));
    world.run(0..=0);
    assert_eq!(
        ready(&world, 14).as_deref(),
        Some("waiting for 15s after being ready")
    );
    assert_eq!(ready(&world, 15), None);
    let silent = Instance {
        heartbeat: -100,
        ..Instance::default()
    };
    world.ring.instances.insert("old".to_owned(), silent);
    assert_eq!(
        ready(&world, 15).as_deref(),
        Some("instance old past heartbeat timeout")
    );
}
