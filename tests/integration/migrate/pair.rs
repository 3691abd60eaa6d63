//! What a migration does between any two stores, as cases that run for every pair of [`Subject`]s.

use std::sync::Arc;

use kes::{
    crypto::KeyVersion,
    keystore::{Keystore, check_value},
    migrate::{Conflict, Options},
    secret::Secret,
};
use serde_json::Value;

use super::{Content, content, counts, failures, matching, plain, put, record, run, with};
use crate::keystore::subject::Subject;

/// Makes a test of each case for a pair.
macro_rules! every_case {
    ($pair:ident, $source:ty, $target:ty) => {
        $crate::migrate::pair::every_case! { $pair, $source, $target:
            every_kind_of_record_arrives_byte_for_byte
            thousands_of_keys_arrive
            old_names_arrive
            a_second_run_finds_everything_there
            another_value_at_the_target_stops_the_run
            merging_keeps_what_the_target_has
            forcing_replaces_what_differs_and_leaves_nothing_beside
            a_dry_run_tells_the_same_and_changes_nothing
            a_pattern_chooses
            what_is_no_key_is_refused_unless_it_is_asked_for
            what_no_store_takes_is_told
            a_run_that_is_stopped_is_ended_by_the_next
        }
    };
    ($pair:ident, $source:ty, $target:ty: $($case:ident)*) => {
        mod $pair {
            use crate::{keystore::subject::Subject as _, migrate::pair};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    pair::$case(<$source>::fresh().await, <$target>::fresh().await).await;
                }
            )*
        }
    };
}
pub(super) use every_case;

type Ends = (Arc<dyn Keystore>, Arc<dyn Keystore>);

async fn open(source: &impl Subject, target: &impl Subject) -> Ends {
    (source.handle().await, target.handle().await)
}

async fn fill(store: &dyn Keystore, seeds: &[(&str, &str)]) {
    for (name, seed) in seeds {
        put(store, name, &record(seed)).await;
    }
}

fn contents(seeds: &[(&str, &str)]) -> Content {
    let pairs = seeds.iter();
    pairs
        .map(|(name, seed)| ((*name).to_owned(), record(seed)))
        .collect()
}

/// Records as all releases wrote them, by name.
fn published() -> Vec<(String, String)> {
    let text = include_str!("../compat/vectors/stored_keys.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let records: Vec<_> = vectors
        .iter()
        .enumerate()
        .map(|(i, vector)| {
            let text = vector["raw_text"].as_str().unwrap();
            (format!("published-{i}"), text.to_owned())
        })
        .filter(|(_, text)| check_value(&Secret::copy_from(text.as_bytes())).is_ok())
        .collect();
    assert!(records.len() > 8, "{}", records.len());
    records
}

pub(super) async fn every_kind_of_record_arrives_byte_for_byte(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    for (name, text) in published() {
        put(&*source, &name, &text).await;
    }
    put(&*source, "with-hmac", &record("with-hmac")).await;
    let before = content(&*source).await;
    let report = run(&source, &target, plain()).await;
    assert!(report.is_complete(), "{:?}", failures(&report));
    assert_eq!(report.copied, before.len());
    // Through a handle of its own, as a server that is started now sees it.
    let arrived = content(&*to.handle().await).await;
    assert_eq!(arrived, before);
    assert_eq!(content(&*source).await, before);
    let hmac = |text: &str| {
        let key = KeyVersion::from_stored(&Secret::copy_from(text.as_bytes())).unwrap();
        key.hmac(b"root access key").unwrap()
    };
    assert_eq!(hmac(&arrived["with-hmac"]), hmac(&record("with-hmac")));
}

pub(super) async fn thousands_of_keys_arrive(from: impl Subject, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    // More than two pages of the predecessor, which lost what was beyond the first one.
    let mut filling = tokio::task::JoinSet::new();
    for part in 0..4 {
        let source = Arc::clone(&source);
        filling.spawn(async move {
            for i in (part..2500).step_by(4) {
                put(&*source, &format!("key-{i:04}"), &record(&i.to_string())).await;
            }
        });
    }
    filling.join_all().await;
    let report = run(&source, &target, plain()).await;
    assert_eq!(counts(&report), [2500, 2500, 0, 0, 0, 0, 0]);
    assert_eq!(content(&*target).await, content(&*source).await);
}

pub(super) async fn old_names_arrive(from: impl Subject, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    let names = ["a.b", "a:b", "a+b", "-a", "a-", "_", &"n".repeat(80)];
    for name in names {
        put(&*source, name, &record(name)).await;
    }
    let report = run(&source, &target, plain()).await;
    assert_eq!(counts(&report), [7, 7, 0, 0, 0, 0, 0]);
    assert_eq!(content(&*target).await, content(&*source).await);
    // They can be replaced, too.
    let old = kes::name::KeyName::parse_old("a.b").unwrap();
    target.delete(&old).await.unwrap();
    put(&*target, "a.b", &record("other")).await;
    let report = run(&source, &target, with(Conflict::Replace)).await;
    assert_eq!(counts(&report), [7, 0, 6, 0, 1, 0, 0]);
    assert_eq!(content(&*target).await, content(&*source).await);
}

pub(super) async fn a_second_run_finds_everything_there(from: impl Subject, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("b", "2"), ("c", "3")]).await;
    fill(&*target, &[("b", "2"), ("d", "4")]).await;
    let report = run(&source, &target, plain()).await;
    assert_eq!(counts(&report), [3, 2, 1, 0, 0, 0, 0]);
    for conflict in [Conflict::Fail, Conflict::Keep, Conflict::Replace] {
        let report = run(&source, &target, with(conflict)).await;
        assert_eq!(counts(&report), [3, 0, 3, 0, 0, 0, 0]);
        assert!(report.is_complete() && report.migrated() == 0);
    }
    let expected = contents(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    assert_eq!(content(&*target).await, expected);
}

pub(super) async fn another_value_at_the_target_stops_the_run(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("b", "2"), ("c", "3")]).await;
    fill(&*target, &[("b", "other")]).await;
    let one_by_one = Options {
        concurrency: 1.try_into().unwrap(),
        ..plain()
    };
    let report = run(&source, &target, one_by_one).await;
    assert_eq!(counts(&report), [3, 1, 0, 0, 0, 1, 1]);
    assert!(!report.is_complete());
    let told = failures(&report);
    assert_eq!(told, ["b: the target has another value under this name"]);
    assert_eq!(
        content(&*target).await,
        contents(&[("a", "1"), ("b", "other")])
    );
    let going_on = Options {
        keep_going: true,
        ..plain()
    };
    let report = run(&source, &target, going_on).await;
    assert_eq!(counts(&report), [3, 1, 1, 0, 0, 1, 0]);
    assert_eq!(failures(&report), told);
    assert_eq!(
        content(&*target).await,
        contents(&[("a", "1"), ("b", "other"), ("c", "3")])
    );
}

pub(super) async fn merging_keeps_what_the_target_has(from: impl Subject, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("b", "2"), ("c", "3")]).await;
    fill(&*target, &[("b", "other"), ("c", "3"), ("d", "4")]).await;
    let report = run(&source, &target, with(Conflict::Keep)).await;
    assert_eq!(counts(&report), [3, 1, 1, 1, 0, 0, 0]);
    assert!(report.is_complete());
    let expected = contents(&[("a", "1"), ("b", "other"), ("c", "3"), ("d", "4")]);
    assert_eq!(content(&*target).await, expected);
}

pub(super) async fn forcing_replaces_what_differs_and_leaves_nothing_beside(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("b", "2"), ("c", "3"), ("e", "5")]).await;
    fill(
        &*target,
        &[("b", "other"), ("c", "3"), ("d", "4"), ("e", "else")],
    )
    .await;
    let unchecked = Options {
        verify: false,
        ..with(Conflict::Replace)
    };
    let report = run(&source, &target, unchecked).await;
    assert_eq!(counts(&report), [4, 1, 1, 0, 2, 0, 0]);
    let expected = contents(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")]);
    assert_eq!(content(&*target).await, expected);
}

pub(super) async fn a_dry_run_tells_the_same_and_changes_nothing(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("b", "2"), ("c", "3"), ("e", "5")]).await;
    fill(&*target, &[("b", "other"), ("c", "3"), ("d", "4")]).await;
    let before = content(&*target).await;
    for conflict in [Conflict::Fail, Conflict::Keep, Conflict::Replace] {
        let dry = Options {
            dry_run: true,
            ..with(conflict)
        };
        let told = run(&source, &target, dry).await;
        assert_eq!(content(&*target).await, before);
        let expected = match conflict {
            // It goes on behind the failure, to tell all of them.
            Conflict::Fail => [4, 2, 1, 0, 0, 1, 0],
            Conflict::Keep => [4, 2, 1, 1, 0, 0, 0],
            Conflict::Replace => [4, 2, 1, 0, 1, 0, 0],
        };
        assert_eq!(counts(&told), expected);
    }
    let done = run(&source, &target, with(Conflict::Replace)).await;
    assert_eq!(counts(&done), [4, 2, 1, 0, 1, 0, 0]);
}

pub(super) async fn a_pattern_chooses(from: impl Subject, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    fill(
        &*source,
        &[("app-1", "1"), ("app-2", "2"), ("bpp-1", "3"), ("app", "4")],
    )
    .await;
    let report = run(&source, &target, matching("?pp-[0-1]")).await;
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0, 0]);
    assert_eq!(
        content(&*target).await,
        contents(&[("app-1", "1"), ("bpp-1", "3")])
    );
    let report = run(&source, &target, matching("none*")).await;
    assert_eq!(counts(&report), [0; 7]);
    assert!(report.is_complete());
}

pub(super) async fn what_is_no_key_is_refused_unless_it_is_asked_for(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    fill(&*source, &[("a", "1"), ("z", "2")]).await;
    for (name, text) in [
        ("cut", &record("cut")[..60]),
        ("json", "{\"bytes\":\"AAAA\"}"),
        ("other", "no key at all"),
    ] {
        put(&*source, name, text).await;
    }
    let options = Options {
        keep_going: true,
        ..plain()
    };
    let report = run(&source, &target, options).await;
    assert_eq!(counts(&report), [5, 2, 0, 0, 0, 3, 0]);
    assert_eq!(content(&*target).await, contents(&[("a", "1"), ("z", "2")]));
    for (line, name) in failures(&report).iter().zip(["cut", "json", "other"]) {
        assert!(
            line.starts_with(name) && line.contains("no key that can be read"),
            "{line}"
        );
    }
    let options = Options {
        allow_unreadable: true,
        ..plain()
    };
    let report = run(&source, &target, options).await;
    assert_eq!(counts(&report), [5, 3, 2, 0, 0, 0, 0]);
    assert_eq!(content(&*target).await, content(&*source).await);
}

/// A key whose entry somebody has written with a line break reads, and no store would take it.
pub(super) async fn what_no_store_takes_is_told<S: Subject>(from: S, to: impl Subject) {
    let (source, target) = open(&from, &to).await;
    // Where nobody but us can write there is nothing to tell.
    let Ok(()) = from
        .plant_text("broken", &format!("{}\n", record("broken")))
        .await
    else {
        return;
    };
    fill(&*source, &[("a", "1")]).await;
    for dry_run in [true, false] {
        let options = Options {
            keep_going: true,
            dry_run,
            ..plain()
        };
        let report = run(&source, &target, options).await;
        assert_eq!(counts(&report), [2, 1, 0, 0, 0, 1, 0]);
        assert!(failures(&report)[0].contains("line break"));
    }
    assert_eq!(content(&*target).await, contents(&[("a", "1")]));
}

pub(super) async fn a_run_that_is_stopped_is_ended_by_the_next(
    from: impl Subject,
    to: impl Subject,
) {
    let (source, target) = open(&from, &to).await;
    for i in 0..50 {
        put(&*source, &format!("key-{i}"), &record(&i.to_string())).await;
    }
    let ends = (Arc::clone(&source), Arc::clone(&target));
    let migration = Arc::new(kes::migrate::Migration::new(ends.0, ends.1, plain()));
    migration.stop();
    let report = Arc::clone(&migration).run().await.unwrap();
    assert!(report.interrupted && !report.is_complete());
    assert_eq!(counts(&report), [50, 0, 0, 0, 0, 0, 50]);
    let report = run(&source, &target, plain()).await;
    assert!(report.is_complete());
    assert_eq!(content(&*target).await, content(&*source).await);
}
