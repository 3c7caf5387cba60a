//! Merging views: examples, and the laws that make gossip converge.

use headwater_ring::{Desc, Instance, State};
use proptest::prelude::*;

fn member(state: State, heartbeat: i64, tokens: &[u32]) -> Instance {
    Instance {
        state,
        heartbeat,
        tokens: tokens.to_vec(),
        ..Instance::default()
    }
}

fn desc(members: &[(&str, Instance)]) -> Desc {
    let mut desc = Desc::new();
    for (id, instance) in members {
        desc.instances.insert((*id).to_owned(), instance.clone());
    }
    desc
}

#[test]
fn newer_wins_and_only_changes_are_passed_on() {
    let mut mine = desc(&[
        ("a", member(State::Active, 5, &[1])),
        ("b", member(State::Active, 9, &[2])),
    ]);
    let theirs = desc(&[
        ("a", member(State::Leaving, 6, &[1])),
        ("b", member(State::Active, 8, &[7])),
        ("c", member(State::Active, 1, &[3])),
    ]);
    let change = mine.merge(&theirs).expect("something changed");
    let names: Vec<&String> = change.instances.keys().collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(mine.instances["a"].state, State::Leaving);
    assert_eq!(mine.instances["b"].tokens, [2]);
    assert_eq!(mine.merge(&theirs), None, "nothing is new the second time");
}

#[test]
fn leaving_for_good_wins_a_tie() {
    let mut mine = desc(&[("a", member(State::Active, 5, &[1]))]);
    let left = desc(&[("a", member(State::Left, 5, &[1]))]);
    assert!(mine.merge(&left).is_some());
    assert_eq!(mine.instances["a"], member(State::Left, 5, &[]));
    let back = desc(&[("a", member(State::Active, 5, &[1]))]);
    assert_eq!(mine.merge(&back), None);
}

#[test]
fn a_removed_member_is_remembered_as_gone() {
    let mut mine = desc(&[
        ("a", member(State::Active, 5, &[1])),
        ("b", member(State::Active, 5, &[2])),
    ]);
    let without = desc(&[("a", member(State::Active, 5, &[1]))]);
    let change = mine.merge_local(&without, 100).expect("a change");
    assert_eq!(change, desc(&[("b", member(State::Left, 100, &[]))]));
    let late = desc(&[("b", member(State::Active, 99, &[2]))]);
    assert_eq!(
        mine.merge(&late),
        None,
        "a late message does not bring it back"
    );
    assert_eq!(mine.remove_tombstones(100), 0);
    assert_eq!(mine.remove_tombstones(101), 1);
}

#[test]
fn a_token_has_one_owner() {
    let mut mine = desc(&[("a", member(State::Active, 1, &[1, 2]))]);
    let theirs = desc(&[
        ("b", member(State::Active, 1, &[2, 3])),
        ("c", member(State::Leaving, 1, &[1, 4])),
    ]);
    mine.merge(&theirs);
    let tokens: Vec<&[u32]> = mine
        .instances
        .values()
        .map(|i| i.tokens.as_slice())
        .collect();
    assert_eq!(tokens, [&[1, 2][..], &[3], &[4]]);
}

/// Views in which a member's entry at a time is always the same, as it is
/// when only the member itself writes it, and removals are written by others.
fn views() -> impl Strategy<Value = Desc> {
    let entry = (0..4u8, 0..6i64, any::<bool>());
    proptest::collection::vec(entry, 0..6).prop_map(|entries| {
        let mut desc = Desc::new();
        for (id, time, gone) in entries {
            let states = [
                State::Pending,
                State::Joining,
                State::Active,
                State::Leaving,
            ];
            let state = match gone {
                true => State::Left,
                false => states[(time as usize + id as usize) % 4],
            };
            let tokens: &[u32] = match gone {
                true => &[],
                // Tokens of different members do not clash: who wins a clash
                // depends on what else is known by then.
                false => &[u32::from(id) * 100 + time as u32],
            };
            let name = format!("m{id}");
            let new = member(state, time, tokens);
            desc.merge(&self::desc(&[(name.as_str(), new)]));
        }
        desc
    })
}

fn merged(a: &Desc, b: &Desc) -> Desc {
    let mut all = a.clone();
    all.merge(b);
    all
}

proptest! {
    #[test]
    fn order_does_not_matter(a in views(), b in views()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn grouping_does_not_matter(a in views(), b in views(), c in views()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn repetition_does_not_matter(a in views(), b in views()) {
        let once = merged(&a, &b);
        prop_assert_eq!(merged(&once, &b), once.clone());
        prop_assert_eq!(merged(&once, &once), once);
    }

    #[test]
    fn changes_are_all_that_must_be_passed_on(a in views(), b in views()) {
        let mut mine = a.clone();
        let change = mine.merge(&b).unwrap_or_default();
        prop_assert_eq!(merged(&a, &change), mine);
    }
}
