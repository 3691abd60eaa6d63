//! `kes policy test` and `explain`: what a file decides, which is what a server with that file decides.

use serde_json::Value;

use super::Kes;
use crate::support::{Cert, Client, Payload, Server, Setup, Version};

struct World {
    server: Server,
    /// Names, for messages.
    who: Vec<(&'static str, Cert)>,
}

impl World {
    async fn start() -> Self {
        let [admin, app, deny, glob, empty, nobody] = std::array::from_fn(|_| Cert::client());
        let server = Setup::new(&admin)
            .open_to_all("/v1/ready")
            .policy(
                "app",
                &[
                    "/v1/key/create/my-*",
                    "/v1/status",
                    "/v1/log/audit",
                    "/v1/key/list/*",
                ],
                &["/v1/key/create/my-x*"],
                &[&app],
            )
            .policy(
                "deny",
                &["*"],
                &["/v1/key/*/secret", "/v1/policy/*"],
                &[&deny],
            )
            .policy("glob", &["/v1/key/*/a?"], &[], &[&glob])
            .policy("empty", &[], &[], &[&empty])
            .start()
            .await;
        let who = vec![
            ("admin", admin),
            ("app", app),
            ("deny", deny),
            ("glob", glob),
            ("empty", empty),
            ("nobody", nobody),
        ];
        Self { server, who }
    }

    fn kes(&self) -> Kes<'_> {
        Kes::new(self.server.folder())
    }

    fn identity(&self, name: &str) -> &str {
        let (_, cert) = self.who.iter().find(|(who, _)| *who == name).unwrap();
        &cert.identity
    }
}

const REQUESTS: &[(&str, &str)] = &[
    ("GET", "/version"),
    ("GET", "/v1/ready"),
    ("GET", "/v1/status"),
    ("GET", "/v1/status/"),
    ("GET", "//v1//status"),
    ("GET", "/v1/metrics"),
    ("POST", "/v1/status"),
    ("PUT", "/v1/key/create/my-key"),
    ("POST", "/v1/key/create/my-xy"),
    ("PUT", "/v1/key/create/m%79-x"),
    ("PUT", "/v1/key/create/other"),
    ("GET", "/v1/key/describe/secret"),
    ("GET", "/v1/key/describe/ab"),
    ("GET", "/v1/key/describe/abc"),
    ("GET", "/v1/key/list"),
    ("GET", "/v1/key/list/my-*"),
    ("GET", "/v1/key/list/a?b"),
    ("DELETE", "/v1/key/delete/a1"),
    ("GET", "/v1/policy/list/"),
    ("GET", "/v1/identity/self/describe"),
    ("GET", "/v1/identity/list/*"),
    ("GET", "/v1/secret/list/x"),
    ("GET", "/v1/nothing"),
    ("GET", "/v1/key/./describe"),
    ("GET", "/v1/key/describe/%zz"),
    ("GET", "/v1/key/describe/a%2fb"),
];

#[tokio::test]
async fn the_answer_is_that_of_a_server_with_the_file() {
    let world = World::start().await;
    let kes = world.kes();
    let mut codes = std::collections::BTreeSet::new();
    for (name, cert) in &world.who {
        let client: Client = world.server.client(cert);
        for (method, path) in REQUESTS {
            let run = kes.run(&[
                "policy",
                "test",
                "--config",
                "kes.yml",
                "--identity",
                &cert.identity,
                "--json",
                method,
                path,
            ]);
            let answer: Value = serde_json::from_str(&run.out)
                .unwrap_or_else(|error| panic!("{error} {}", run.err));
            let live = client
                .send(Version::H1, method, path, Payload::None)
                .await
                .status;
            let what = format!("{name} {method} {path}: {live} {answer}");
            let allowed = answer["allowed"] == true;
            assert_eq!(run.code, i32::from(!allowed), "{what}");
            match answer["status"].as_u64() {
                Some(status) => assert_eq!(u64::from(live), status, "{what}"),
                // Behind the door there may be no such key, or no body.
                None => assert!(!matches!(live, 401 | 403 | 405 | 501), "{what}"),
            }
            assert_eq!(
                live == 403,
                !allowed && answer["decision"] != "no_route",
                "{what}"
            );
            codes.insert(answer["decision"].as_str().unwrap().to_owned());
        }
    }
    let all = [
        "admin",
        "allow_rule",
        "deny_rule",
        "no_policy",
        "no_route",
        "no_rule",
        "open",
    ];
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn the_rule_that_decided_is_named_with_its_line() {
    let world = World::start().await;
    let kes = world.kes();
    let yaml = std::fs::read_to_string(world.server.folder().join("kes.yml")).unwrap();
    let line = |text: &str| yaml.lines().position(|line| line.contains(text)).unwrap() + 1;
    let test = |who: &[&str], method: &str, path: &str| {
        let run = kes.run(
            &[
                &["policy", "test", "--config", "kes.yml"][..],
                who,
                &[method, path],
            ]
            .concat(),
        );
        assert_eq!(run.err, "");
        (run.code, run.out)
    };
    assert_eq!(
        test(&["--policy", "app"], "put", "/v1//key/create/my-key/?x=1"),
        (
            0,
            format!(
                "allowed: an allow rule matches, and no deny rule\npolicy  app\npath    /v1/key/create/my-key\nrule    allow '/v1/key/create/my-*'\nat      kes.yml:{}: policy.app.allow[0]\n",
                line("/v1/key/create/my-*")
            )
        )
    );
    assert_eq!(
        test(
            &["--identity", world.identity("app")],
            "PUT",
            "/v1/key/create/my-x"
        ),
        (
            1,
            format!(
                "denied: a deny rule matches\npolicy  app\npath    /v1/key/create/my-x\nrule    deny '/v1/key/create/my-x*'\nat      kes.yml:{}: policy.app.deny[0]\n",
                line("/v1/key/create/my-x*")
            )
        )
    );
    let (code, out) = test(&["--policy", "empty"], "GET", "/v1/status");
    assert_eq!(code, 1);
    assert!(
        out.starts_with("denied: no rule of the policy matches\n"),
        "{out}"
    );
    let (code, out) = test(&["--policy", "app"], "GET", "/v1/gone");
    assert_eq!(code, 1);
    assert!(out.contains("answered with 404"), "{out}");
    // An alias is the route it stands for.
    let (code, out) = test(&["--policy", "app"], "GET", "/v1/log/audit/trace");
    assert_eq!(code, 0);
    assert!(out.contains("path    /v1/log/audit\n"), "{out}");

    let kes = |arguments: &[&str]| world.kes().run(arguments);
    let error = kes(&[
        "policy", "test", "--config", "kes.yml", "--policy", "x", "GET", "/",
    ])
    .failed(1);
    assert!(error.contains("the file has no policy 'x'"), "{error}");
    kes(&["policy", "test", "--config", "kes.yml", "GET", "/"]).failed(2);
    kes(&[
        "policy",
        "test",
        "--config",
        "kes.yml",
        "--policy",
        "a",
        "--identity",
        "b",
        "GET",
        "/",
    ])
    .failed(2);
    kes(&[
        "policy", "test", "--config", "kes.yml", "--policy", "app", "G T", "/",
    ])
    .failed(2);
}

#[tokio::test]
async fn what_an_identity_may_do_is_explained_for_every_route() {
    let world = World::start().await;
    let kes = world.kes();
    let explain = |more: &[&str]| {
        let arguments = [
            &["policy", "explain", "--config", "kes.yml", "--json"][..],
            more,
        ]
        .concat();
        serde_json::from_str::<Value>(&kes.run(&arguments).quietly()).unwrap()
    };
    let access = |document: &Value, path: &str| {
        let apis = document["apis"].as_array().unwrap();
        assert_eq!(apis.len(), kes::api::ROUTES.len());
        let api = apis.iter().find(|api| api["path"] == path).unwrap();
        let rules = api["rules"].as_array().unwrap();
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| rule["text"].as_str().unwrap().to_owned())
            .collect();
        (api["access"].as_str().unwrap().to_owned(), rules)
    };
    let app = explain(&[world.identity("app")]);
    assert_eq!(app["policy"], "app");
    for (path, expected, rules) in [
        ("/version", "open", &[][..]),
        ("/v1/ready", "open", &[]),
        ("/v1/identity/self/describe", "self", &[]),
        ("/v1/status", "all", &["/v1/status"]),
        ("/v1/metrics", "none", &[]),
        ("/v1/key/list/", "all", &["/v1/key/list/*"]),
        (
            "/v1/key/create/",
            "some",
            &["/v1/key/create/my-*", "/v1/key/create/my-x*"],
        ),
    ] {
        let (found, texts) = access(&app, path);
        assert_eq!(
            (found.as_str(), texts),
            (
                expected,
                rules.iter().map(|rule| (*rule).to_owned()).collect()
            ),
            "{path}"
        );
    }
    let deny = explain(&["--policy", "deny"]);
    assert_eq!(access(&deny, "/v1/policy/list/").0, "none");
    assert_eq!(access(&deny, "/v1/key/create/").0, "some");
    assert_eq!(access(&deny, "/v1/status").0, "all");
    let admin = explain(&[world.identity("admin")]);
    assert_eq!(admin["admin"], true);
    assert_eq!(access(&admin, "/v1/key/delete/").0, "all");
    let nobody = explain(&[world.identity("nobody")]);
    assert_eq!(nobody["policy"], Value::Null);
    assert_eq!(access(&nobody, "/v1/status").0, "none");

    let everybody = explain(&[]);
    assert_eq!(everybody["admin"], world.identity("admin"));
    assert_eq!(everybody["policies"]["app"][0], world.identity("app"));
    let text = kes
        .run(&[
            "policy",
            "explain",
            "--config",
            "kes.yml",
            world.identity("app"),
        ])
        .quietly();
    assert!(text.starts_with("policy 'app':\n"), "{text}");
    assert!(
        text.contains("PUT    /v1/key/create/KEY                   some, by name\n"),
        "{text}"
    );
    let text = kes
        .run(&["policy", "explain", "--config", "kes.yml"])
        .quietly();
    assert!(
        text.starts_with("admin: ") && text.contains("policy 'empty':\n"),
        "{text}"
    );
}
