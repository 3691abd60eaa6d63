//! The metrics: which requests count, and a page that strict parsers take (api.md 11).

use std::collections::BTreeMap;

use kes::api::ROUTES;

use crate::support::{Cert, Client, Payload, Setup, Version};

/// Families and their types (api.md 11.2).
const FAMILIES: [(&str, &str); 14] = [
    ("kes_http_request_active", "gauge"),
    ("kes_http_request_error", "counter"),
    ("kes_http_request_failure", "counter"),
    ("kes_http_request_success", "counter"),
    ("kes_http_response_time", "histogram"),
    ("kes_log_audit_events", "counter"),
    ("kes_log_error_events", "counter"),
    ("kes_system_mem_heap_objects", "gauge"),
    ("kes_system_mem_heap_used", "gauge"),
    ("kes_system_mem_stack_used", "gauge"),
    ("kes_system_num_cpu", "gauge"),
    ("kes_system_num_cpu_used", "gauge"),
    ("kes_system_num_threads", "gauge"),
    ("kes_system_up_time", "gauge"),
];

const LABELLED: [&str; 3] = [
    "kes_http_request_error",
    "kes_http_request_failure",
    "kes_http_request_success",
];

/// The samples of each family by name and labels, in the order of the page.
type Page = Vec<(String, String, BTreeMap<String, f64>)>;

async fn scrape(client: &Client, version: Version) -> Page {
    let reply = client
        .send(version, "GET", "/v1/metrics", Payload::None)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    );
    assert!(reply.body.len() < 1 << 20);
    let mut page = Page::new();
    let mut helped = String::new();
    for line in reply.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split(' ').next().unwrap().clone_into(&mut helped);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped);
            page.push((name.to_owned(), kind.to_owned(), BTreeMap::new()));
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (family, _, samples) = page.last_mut().unwrap();
            assert!(
                sample.starts_with(family.as_str()),
                "{sample} is in {family}"
            );
            let twice = samples.insert(sample.to_owned(), value.parse().unwrap());
            assert!(twice.is_none(), "{sample} twice");
        }
    }
    page
}

fn all_samples(page: Page) -> BTreeMap<String, f64> {
    page.into_iter()
        .flat_map(|(_, _, samples)| samples)
        .collect()
}

/// How many requests were counted, by what they ended with.
async fn counted(client: &Client) -> BTreeMap<String, f64> {
    let mut samples = all_samples(scrape(client, Version::H1).await);
    samples.retain(|name, _| {
        LABELLED.iter().any(|family| name.starts_with(family)) || name.ends_with("_count")
    });
    samples
}

#[tokio::test]
async fn the_page_has_the_known_families_sorted_and_each_with_samples() {
    let admin = Cert::client();
    let server = Setup::new(&admin).keys_in_files().start().await;
    let client = server.client(&admin);
    let check = async |families: &[(&str, &str)]| {
        for version in Version::ALL {
            let page = scrape(&client, version).await;
            let found: Vec<_> = page
                .iter()
                .map(|(name, kind, _)| (name.as_str(), kind.as_str()))
                .collect();
            assert_eq!(found, families);
            for (family, kind, samples) in &page {
                assert!(!samples.is_empty(), "{family} has no sample");
                if LABELLED.contains(&family.as_str()) {
                    assert!(
                        samples
                            .keys()
                            .all(|name| name.starts_with(&format!("{family}{{code=\"")))
                    );
                } else if kind != "histogram" {
                    assert_eq!(
                        samples.keys().collect::<Vec<_>>(),
                        [family],
                        "labels in {family}"
                    );
                }
            }
        }
    };
    let unlabelled: Vec<_> = FAMILIES
        .into_iter()
        .filter(|(name, _)| !LABELLED.contains(name))
        .collect();
    check(&unlabelled).await;
    std::fs::write(server.keys().join("broken"), "x").unwrap();
    assert_eq!(client.get("/v1/key/list/").await.status, 200);
    assert_eq!(client.get("/v1/key/describe/absent").await.status, 404);
    assert_eq!(client.get("/v1/key/describe/broken").await.status, 502);
    check(&FAMILIES).await;
    let samples = all_samples(scrape(&client, Version::H1).await);
    for (family, _) in &FAMILIES[7..] {
        let least = if *family == "kes_system_up_time" {
            0.0
        } else {
            1.0
        };
        assert!(samples[*family] >= least, "{family} {}", samples[*family]);
    }
    assert!(samples["kes_http_request_active"].abs() < f64::EPSILON);
    let mut last = 0.0;
    for bound in [
        "0.01", "0.05", "0.1", "0.25", "0.5", "1", "1.5", "3", "5", "10", "+Inf",
    ] {
        let count = samples[&format!("kes_http_response_time_bucket{{le=\"{bound}\"}}")];
        assert!(count >= last, "bucket {bound}");
        last = count;
    }
    assert!((last - 3.0).abs() < f64::EPSILON && samples["kes_http_response_time_sum"] > 0.0);
    assert_eq!(
        samples
            .keys()
            .filter(|name| name.contains("_bucket"))
            .count(),
        11
    );
}

#[tokio::test]
async fn routes_count_as_their_rows_say_once_they_are_entered() {
    let [admin, stranger] = std::array::from_fn(|_| Cert::client());
    let server = Setup::new(&admin).open_to_all("/v1/ready").start().await;
    let client = server.client(&admin);
    let mut before = counted(&client).await;
    for route in ROUTES {
        let resource = if route.path.ends_with('/') {
            "walk"
        } else {
            ""
        };
        let path = format!("{}{resource}", route.path);
        // None of these has passed the door.
        server
            .nobody()
            .send(Version::H1, "PATCH", &path, Payload::None)
            .await;
        if route.auth == kes::api::Auth::Policy && route.path != "/v1/ready" {
            for client in [server.nobody(), server.client(&stranger)] {
                client
                    .send(Version::H2, route.method.as_str(), &path, Payload::None)
                    .await;
            }
        }
        assert_eq!(counted(&client).await, before, "{path} counts the refused");
        let mut connection = client.connect(Version::H1).await.unwrap();
        let payload = if route.limit == 0 {
            Payload::None
        } else {
            "{}".into()
        };
        let response = connection
            .open(route.method.as_str(), &path, &[], payload)
            .await
            .unwrap();
        let status = response.status().as_u16();
        let mut expected = before.clone();
        if route.counted {
            let family =
                ["success", "error", "failure"][usize::from(status / 100).saturating_sub(3).min(2)];
            let sample = format!("kes_http_request_{family}{{code=\"{status}\"}}");
            *expected.entry(sample).or_default() += 1.0;
            *expected.get_mut("kes_http_response_time_count").unwrap() += 1.0;
        }
        before = counted(&client).await;
        assert_eq!(before, expected, "{path} {status}");
    }
    for path in ["/nope", "/v1/./status", "/v1/sys/seal", "/"] {
        client.get(path).await;
    }
    assert_eq!(counted(&client).await, before);
}
