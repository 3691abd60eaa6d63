//! What every keystore must do (keystores.md 13), as cases that run against any [`Subject`].

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use kes::{
    keystore::{Error, Keystore as _, MAX_VALUE, Page},
    name::KeyName,
    secret::Secret,
};
use tokio::task::JoinSet;

use super::subject::{MARK, Subject, create, list, name, names, open, read, secret, shown, value};

/// Makes a test of each case for a store.
macro_rules! every_case {
    ($store:ident, $subject:ty) => {
        $crate::keystore::conformance::every_case! { $store, $subject:
            a_value_reads_back_exactly
            a_taken_name_is_refused_and_keeps_its_value
            what_is_not_there_is_not_found
            a_deleted_name_can_be_created_again
            values_up_to_the_limit_are_exact
            values_that_are_not_printable_are_refused
            names_that_differ_in_case_or_length_are_different
            an_empty_store_lists_nothing
            a_listing_is_sorted_and_keeps_to_its_prefix
            prefixes_and_starts_may_be_any_text
            three_thousand_names_are_listed_completely_in_pages
            foreign_entries_are_not_listed
            of_sixteen_creators_one_wins
            handles_see_each_other_at_once
            deleting_and_creating_at_once_never_mixes_values
            a_cancelled_create_is_complete_or_absent
            it_says_that_it_is_up
            no_error_shows_a_value
        }
    };
    ($store:ident, $subject:ty: $($case:ident)*) => {
        mod $store {
            use crate::keystore::{conformance, subject::Subject as _};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    conformance::$case(<$subject>::fresh().await).await;
                }
            )*
        }
    };
}
pub(super) use every_case;

pub(super) async fn a_value_reads_back_exactly(subject: impl Subject) {
    let store = open(&subject).await;
    create(&*store, "key", &value(1)).await.unwrap();
    assert_eq!(read(&*store, "key").await, Some(value(1)));
    assert_eq!(read(&*open(&subject).await, "key").await, Some(value(1)));
}

pub(super) async fn a_taken_name_is_refused_and_keeps_its_value(subject: impl Subject) {
    let store = open(&subject).await;
    create(&*store, "key", &value(1)).await.unwrap();
    for other in [value(2), value(1)] {
        let error = create(&*store, "key", &other).await.unwrap_err();
        assert!(matches!(error, Error::Exists), "{error:?}");
    }
    assert_eq!(read(&*store, "key").await, Some(value(1)));
    assert_eq!(list(&*store, "").await, names(&["key"]));
}

pub(super) async fn what_is_not_there_is_not_found<S: Subject>(subject: S) {
    let store = open(&subject).await;
    create(&*store, "key", &value(1)).await.unwrap();
    for missing in ["other", "ke", "key2", "KEY_"] {
        let missing = name(missing);
        assert!(matches!(store.get(&missing).await, Err(Error::NotFound)));
        match (S::NATURE.silent_delete, store.delete(&missing).await) {
            (None, Err(Error::NotFound)) | (Some(_), Ok(())) => {}
            (reason, result) => panic!("{result:?} {reason:?}"),
        }
    }
    assert_eq!(read(&*store, "key").await, Some(value(1)));
}

pub(super) async fn a_deleted_name_can_be_created_again(subject: impl Subject) {
    let store = open(&subject).await;
    for round in 0..5 {
        create(&*store, "key", &value(round)).await.unwrap();
        assert_eq!(read(&*store, "key").await, Some(value(round)));
        store.delete(&name("key")).await.unwrap();
        assert_eq!(read(&*store, "key").await, None);
        assert_eq!(list(&*store, "").await, []);
    }
}

pub(super) async fn values_up_to_the_limit_are_exact<S: Subject>(subject: S) {
    let store = open(&subject).await;
    let largest = S::NATURE.small_values.map_or(MAX_VALUE, |(size, _)| size);
    let every_byte: String = (' '..='~').collect();
    let spaces = format!("  {MARK}  ");
    let long = MARK.repeat(largest / MARK.len() + 1)[..largest].to_owned();
    for (i, text) in ["x", &every_byte, &spaces, "null", "{}", "\"\"", &long]
        .iter()
        .enumerate()
    {
        let key = format!("key-{i}");
        create(&*store, &key, text).await.unwrap();
        let back = read(&*store, &key).await.unwrap();
        assert!(back == *text, "{} bytes, {} back", text.len(), back.len());
    }
}

pub(super) async fn values_that_are_not_printable_are_refused(subject: impl Subject) {
    let store = open(&subject).await;
    let mut bad: Vec<Vec<u8>> = (0..=255_u8)
        .filter(|byte| !matches!(byte, b' '..=b'~'))
        .map(|byte| [MARK.as_bytes(), &[byte], b"x"].concat())
        .collect();
    bad.push(Vec::new());
    bad.push(vec![b'x'; MAX_VALUE + 1]);
    bad.push(format!("{}\n", value(1)).into_bytes());
    for bytes in bad {
        let result = store.create(&name("key"), &Secret::copy_from(&bytes)).await;
        assert!(matches!(result, Err(Error::Malformed(_))), "{result:?}");
    }
    assert_eq!(read(&*store, "key").await, None);
    assert_eq!(list(&*store, "").await, []);
}

pub(super) async fn names_that_differ_in_case_or_length_are_different(subject: impl Subject) {
    let store = open(&subject).await;
    let longest = "n".repeat(80);
    let all = [
        "Key",
        "KEY",
        "key",
        "k",
        "__",
        "0",
        "_a",
        "a_",
        &longest[1..],
        &longest,
    ];
    for key in all {
        create(&*store, key, &value(key)).await.unwrap();
    }
    for key in all {
        assert_eq!(read(&*store, key).await, Some(value(key)));
    }
    assert_eq!(list(&*store, "").await.len(), all.len());
}

pub(super) async fn an_empty_store_lists_nothing(subject: impl Subject) {
    let store = open(&subject).await;
    for (prefix, from, limit) in [("", None, usize::MAX), ("a", Some("ab"), 1), ("", None, 0)] {
        let page = store.list(prefix, from, limit).await.unwrap();
        assert_eq!(page, Page::default());
    }
}

pub(super) async fn a_listing_is_sorted_and_keeps_to_its_prefix(subject: impl Subject) {
    let store = open(&subject).await;
    // Byte order: digits, capitals, underscore, small letters; the minus before all of them.
    let sorted = [
        "0", "B", "__", "a", "a-b", "a0", "aB", "a_b", "ab", "abc", "b",
    ];
    for key in [
        "ab", "b", "a_b", "B", "a", "__", "aB", "0", "abc", "a-b", "a0",
    ] {
        create(&*store, key, &value(key)).await.unwrap();
    }
    assert_eq!(list(&*store, "").await, names(&sorted));
    assert_eq!(list(&*store, "a").await, names(&sorted[3..10]));
    assert_eq!(list(&*store, "a-").await, names(&["a-b"]));
    assert_eq!(list(&*store, "_").await, names(&["__"]));
    // A whole name is a prefix too, of itself and of longer ones.
    assert_eq!(list(&*store, "ab").await, names(&["ab", "abc"]));
    assert_eq!(list(&*store, "abc").await, names(&["abc"]));
    assert_eq!(list(&*store, "abcd").await, []);
    assert_eq!(list(&*store, "c").await, []);
}

pub(super) async fn prefixes_and_starts_may_be_any_text(subject: impl Subject) {
    let store = open(&subject).await;
    for key in ["a1", "a2", "b1", "b2"] {
        create(&*store, key, &value(key)).await.unwrap();
    }
    let long = "a".repeat(5000);
    for prefix in [
        "/", "..", "../", "a/", "*", "a*", "\0", "ü", "~", "a1\n", "%", &long,
    ] {
        assert_eq!(list(&*store, prefix).await, [], "{prefix:?}");
    }
    for (prefix, from, expected) in [
        ("", "", &["a1", "a2", "b1", "b2"][..]),
        ("", "a2", &["a2", "b1", "b2"]),
        ("", "a1z", &["a2", "b1", "b2"]),
        ("", "~", &[]),
        ("", "ü", &[]),
        ("", "/", &["a1", "a2", "b1", "b2"]),
        ("b", "a", &["b1", "b2"]),
        ("b", "b", &["b1", "b2"]),
        ("a", "b1", &[]),
        ("a", &long, &[]),
    ] {
        let page = store.list(prefix, Some(from), 10).await.unwrap();
        assert_eq!(page.names, names(expected), "{prefix:?} {from:?}");
        assert_eq!(page.next, None);
    }
    let page = store.list("b", None, 0).await.unwrap();
    assert_eq!((page.names, page.next), (vec![], Some(name("b1"))));
    let page = store.list("a", None, 2).await.unwrap();
    assert_eq!((page.names, page.next), (names(&["a1", "a2"]), None));
}

pub(super) async fn three_thousand_names_are_listed_completely_in_pages(subject: impl Subject) {
    let store = open(&subject).await;
    // In an order that is neither the one they sort in nor its reverse, and in parallel.
    let shuffled: Vec<KeyName> = (0..3000_u32)
        .map(|i| name(&format!("key-{:04}", i * 7919 % 3000)))
        .collect();
    let mut all = shuffled.clone();
    all.sort();
    let mut creating = JoinSet::new();
    for key in shuffled {
        let store = Arc::clone(&store);
        creating.spawn(async move { store.create(&key, &secret(&value(&key))).await });
    }
    for done in creating.join_all().await {
        done.unwrap();
    }
    assert_eq!(list(&*store, "").await, all);
    for (prefix, expected) in [("", &all[..]), ("key-1", &all[1000..2000])] {
        for limit in [37, 999, 1000, 1024, 2999, 3000, 3001] {
            let mut seen = Vec::new();
            let mut from: Option<KeyName> = None;
            loop {
                let from_text = from.as_ref().map(KeyName::as_str);
                let page = store.list(prefix, from_text, limit).await.unwrap();
                assert!(page.names.len() <= limit);
                // A page that is not full is the last one.
                assert!(page.names.len() == limit || page.next.is_none());
                seen.extend(page.names);
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            assert!(seen == expected, "{limit}: {} names", seen.len());
        }
    }
}

pub(super) async fn foreign_entries_are_not_listed(subject: impl Subject) {
    let store = open(&subject).await;
    create(&*store, "key", &value(1)).await.unwrap();
    let long = "n".repeat(81);
    let foreign = [".hidden", "key~", "a b", "kéy", "#key#", "key*", &long];
    // What no key can be called any more is told apart by who asks, not by the store.
    let old = ["-key", "_", "a+b", "a:b", "key", "key-", "key.bak"];
    let mut planted = 0;
    let planting = old.iter().filter(|name| **name != "key");
    for entry in foreign.iter().chain(planting) {
        match subject.plant(entry).await {
            Ok(()) => planted += 1,
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    assert!(planted == 0 || planted == foreign.len() + old.len() - 1);
    let found = list(&*store, "").await;
    let expected: &[&str] = if planted == 0 { &["key"] } else { &old };
    let expected = expected
        .iter()
        .map(|name| KeyName::parse_old(name).unwrap());
    assert_eq!(found, expected.collect::<Vec<_>>());
    let current: Vec<_> = found.into_iter().filter(|name| !name.is_old()).collect();
    assert_eq!(current, names(&["key"]));
    for prefix in [".", "a ", "n", "kéy", "key~", "key*", "#"] {
        assert_eq!(list(&*store, prefix).await, []);
    }
}

pub(super) async fn of_sixteen_creators_one_wins(subject: impl Subject) {
    let stores = [open(&subject).await, open(&subject).await];
    for round in 0..8 {
        let key = format!("key-{round}");
        let mut creating = JoinSet::new();
        for i in 0..16 {
            let store = Arc::clone(&stores[i % 2]);
            let key = key.clone();
            creating.spawn(async move {
                let made = create(&*store, &key, &value(i)).await;
                // Whoever is told anything can read the winner's value from then on.
                let read = read(&*store, &key).await.unwrap();
                match made {
                    Ok(()) => (Some(i), read),
                    Err(Error::Exists) => (None, read),
                    Err(error) => panic!("{}", shown(&error)),
                }
            });
        }
        let done = creating.join_all().await;
        let winners: Vec<usize> = done.iter().filter_map(|(winner, _)| *winner).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for (_, read) in &done {
            assert_eq!(*read, value(winners[0]));
        }
        for store in &stores {
            assert_eq!(read(&**store, &key).await, Some(value(winners[0])));
        }
    }
}

pub(super) async fn handles_see_each_other_at_once(subject: impl Subject) {
    let (one, two) = (open(&subject).await, open(&subject).await);
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 {
            (&one, &two)
        } else {
            (&two, &one)
        };
        assert_eq!(read(&**reader, "key").await, None);
        create(&**writer, "key", &value(round)).await.unwrap();
        assert_eq!(read(&**reader, "key").await, Some(value(round)));
        assert_eq!(list(&**reader, "").await, names(&["key"]));
        let again = create(&**reader, "key", &value("other")).await;
        assert!(matches!(again, Err(Error::Exists)), "{again:?}");
        writer.delete(&name("key")).await.unwrap();
        assert_eq!(list(&**reader, "").await, []);
    }
}

pub(super) async fn deleting_and_creating_at_once_never_mixes_values(subject: impl Subject) {
    let mut working = JoinSet::new();
    for worker in 0..6 {
        let store = open(&subject).await;
        working.spawn(async move {
            for round in 0..25 {
                let mine = value(format_args!("{worker}-{round}"));
                match create(&*store, "key", &mine).await {
                    Ok(()) | Err(Error::Exists) => {}
                    Err(error) => panic!("{}", shown(&error)),
                }
                if let Some(text) = read(&*store, "key").await {
                    let seed = text.split('.').nth(1).unwrap();
                    assert_eq!(text, value(seed));
                }
                match store.delete(&name("key")).await {
                    Ok(()) | Err(Error::NotFound) => {}
                    Err(error) => panic!("{}", shown(&error)),
                }
            }
        });
    }
    working.join_all().await;
    let store = open(&subject).await;
    assert_eq!(list(&*store, "").await, []);
    create(&*store, "key", &value("after")).await.unwrap();
}

pub(super) async fn a_cancelled_create_is_complete_or_absent(subject: impl Subject) {
    let (store, other) = (open(&subject).await, open(&subject).await);
    for i in 0..100 {
        let key = format!("key-{i}");
        let (key_name, first, second) = (name(&key), secret(&value("first")), value("second"));
        {
            let mut creating = pin!(store.create(&key_name, &first));
            // Dropped after a few steps, each at another point of its way.
            for _ in 0..=i % 6 {
                let step = creating
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if step.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let at_once = read(&*other, &key).await;
        assert!(at_once.is_none() || at_once == Some(value("first")));
        // It may still happen, but it blocks nothing.
        let expected = match create(&*other, &key, &second).await {
            Ok(()) => second,
            Err(Error::Exists) => value("first"),
            Err(error) => panic!("{}", shown(&error)),
        };
        assert_eq!(read(&*other, &key).await, Some(expected));
    }
}

pub(super) async fn it_says_that_it_is_up(subject: impl Subject) {
    let store = open(&subject).await;
    let latency = store.status().await.unwrap();
    assert!(latency > Duration::ZERO);
    assert!(!store.to_string().is_empty());
}

/// Every kind of error that a sound store can be made to raise, with the values at hand that it must not show.
pub(super) async fn no_error_shows_a_value<S: Subject>(subject: S) {
    let store = open(&subject).await;
    create(&*store, "key", &value(1)).await.unwrap();
    let missing = store.get(&name("missing")).await;
    let mut errors = vec![
        create(&*store, "key", &value(2)).await.unwrap_err(),
        create(&*store, "new", &format!("{MARK}\n"))
            .await
            .unwrap_err(),
        create(&*store, "new", &MARK.repeat(MAX_VALUE))
            .await
            .unwrap_err(),
        missing.err().unwrap(),
    ];
    errors.extend(store.delete(&name("missing")).await.err());
    for error in errors {
        let text = shown(&error);
        assert!(!text.contains(MARK), "{text}");
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
    }
}
