//! Single cases of the cache; `model` has the rules.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn cache(offline: Option<Duration>) -> (Cache<u32, ()>, Clock) {
    let clock = Clock::test();
    let expiry = Expiry {
        any: 100 * SECOND,
        unused: 10 * SECOND,
        offline,
    };
    (Cache::new(expiry, clock.clone()), clock)
}

fn name() -> KeyName {
    KeyName::parse("k").unwrap()
}

fn fetch(cache: &Cache<u32, ()>, value: u32) {
    let Miss::Lead(flight, _) = cache.miss(&name()) else {
        panic!("somebody else fetches");
    };
    cache.land(&flight, Ok(Arc::new(value)), false);
}

fn fresh(cache: &Cache<u32, ()>) -> Option<u32> {
    match cache.lookup(&name()) {
        Lookup::Fresh(value) => Some(*value),
        Lookup::Absent => None,
    }
}

#[test]
fn an_unused_entry_ends_and_a_used_one_lives_on_until_any_ends() {
    let (cache, clock) = cache(None);
    fetch(&cache, 1);
    for _ in 0..8 {
        clock.advance(9 * SECOND);
        assert_eq!(fresh(&cache), Some(1));
    }
    clock.advance(10 * SECOND);
    assert_eq!(fresh(&cache), None);
    fetch(&cache, 2);
    for _ in 0..20 {
        clock.advance(5 * SECOND);
        let _ = fresh(&cache);
    }
    assert_eq!(fresh(&cache), None, "any is over");
}

#[test]
fn the_sweep_drops_what_is_over_and_nothing_else() {
    let (cache, clock) = cache(None);
    fetch(&cache, 1);
    cache.sweep();
    assert_eq!(cache.len(), 1);
    clock.advance(10 * SECOND);
    cache.sweep();
    assert_eq!(cache.len(), 0);
}

#[test]
fn a_fetch_that_a_delete_overtook_leaves_no_entry() {
    let (cache, _) = cache(None);
    let Miss::Lead(flight, waiter) = cache.miss(&name()) else {
        panic!("somebody else fetches");
    };
    cache.forget(&name());
    assert!(
        matches!(cache.miss(&name()), Miss::Lead(..)),
        "nobody joins the old fetch"
    );
    cache.land(&flight, Ok(Arc::new(1)), false);
    assert_eq!(fresh(&cache), None);
    assert!(
        waiter.borrow().is_some(),
        "who waited before the delete is answered"
    );
}

#[test]
fn a_failure_reaches_all_who_wait_and_is_not_kept() {
    let (cache, _) = cache(None);
    let Miss::Lead(flight, _) = cache.miss(&name()) else {
        panic!("somebody else fetches");
    };
    let Miss::Join(waiter) = cache.miss(&name()) else {
        panic!("two fetches of one name");
    };
    cache.land(&flight, Err(()), false);
    assert_eq!(*waiter.borrow(), Some(Err(())));
    assert!(matches!(cache.miss(&name()), Miss::Lead(..)));
}

#[test]
fn while_offline_entries_live_for_the_offline_period_and_no_longer() {
    let (cache, clock) = cache(Some(60 * SECOND));
    fetch(&cache, 1);
    clock.advance(11 * SECOND);
    assert_eq!(fresh(&cache), None, "not served unasked");
    cache.sweep();
    assert_eq!(cache.len(), 1, "but kept");
    cache.set_offline(true);
    for _ in 0..5 {
        clock.advance(11 * SECOND);
        cache.set_offline(true);
        cache.sweep();
        assert_eq!(fresh(&cache), Some(1));
    }
    clock.advance(5 * SECOND);
    assert_eq!(fresh(&cache), None);
    cache.sweep();
    assert_eq!(cache.len(), 0);
}

#[test]
fn without_an_offline_period_an_outage_changes_nothing() {
    let (cache, clock) = cache(None);
    fetch(&cache, 1);
    cache.set_offline(true);
    clock.advance(10 * SECOND);
    assert!(matches!(cache.lookup(&name()), Lookup::Absent));
}
