//! What is checked before anything outside the file is touched (config.md 5 to 8, 10 and 11), and what flags fill in.

use std::path::Path;

use kes::{
    config::{Fallback, load as load_file},
    identity::Identity,
    telemetry::{Format, Level},
};

use super::{ALICE, BOB, REST, ROUTES, bad, good, lines, load, load_with, problems};

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let text = "\
version: v2
address: localhost
cache: { expiry: { any: -1s, unused: 5, offline: -1ns } }
log: { error: loud, audit: debug-1 }
tls: { auth: maybe }
keys: [ { name: a b }, {} ]
api: { /v1/ready: { timeout: -5s } }
";
    let errors = load(text, &[]).err().unwrap();
    assert_eq!(
        lines(&errors.problems),
        [
            "kes.yml: admin.identity: no admin identity",
            "kes.yml:1: version: invalid server config version 'v2'",
            "kes.yml:2: address: invalid address 'localhost': the port is missing",
            "kes.yml:3: cache.expiry.unused: invalid duration '5': a duration needs a unit",
            "kes.yml:3: cache.expiry.any: invalid expiry '-1s': negative",
            "kes.yml:3: cache.expiry.offline: invalid expiry '-1ns': negative",
            "kes.yml:4: log.error: invalid log level 'loud'",
            "kes.yml:4: log.audit: invalid log level 'debug-1'",
            "kes.yml:5: tls.key: no private key",
            "kes.yml:5: tls.cert: no certificate",
            "kes.yml:5: tls.auth: invalid auth 'maybe'",
            "kes.yml:6: keys[0].name: key name 'a b' is empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _",
            "kes.yml:6: keys[1].name: key name '' is empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _",
            "kes.yml:7: api./v1/ready.timeout: invalid timeout '-5s': negative",
        ]
    );
    let shown = errors.to_string();
    assert!(
        shown.contains("\nHint: write the unit, like '30s', '5m' or '1h30m'\n"),
        "{shown}"
    );
}

#[test]
fn console_lines_are_text_or_json() {
    for (value, format) in [
        ("", Format::Text),
        ("~", Format::Text),
        ("' '", Format::Text),
        ("text", Format::Text),
        ("json", Format::Json),
        ("' JSON '", Format::Json),
    ] {
        let config = good(&format!("log: {{ format: {value} }}"));
        assert_eq!(config.log.format, format, "{value}");
        assert_eq!(config.log.error, Level::INFO);
    }
    assert_eq!(good("").log.format, Format::Text);
    let errors = load(format!("log:\n  format: xml\n{REST}"), &[])
        .err()
        .unwrap();
    assert_eq!(
        errors.to_string().lines().collect::<Vec<_>>(),
        [
            "kes.yml:2: log.format: invalid log format 'xml'",
            "Hint: write 'text' or 'json'"
        ]
    );
    assert_eq!(
        bad("log: { format: [ json ] }"),
        ["kes.yml:1: log.format: expected text, found a list"]
    );
}

#[test]
fn durations_of_zero_and_nothing_mean_the_default() {
    for value in ["0", "'0'", "0s", "''", "~", "", "!!int 0"] {
        let config = good(&format!(
            "cache:\n  expiry:\n    any: {value}\n    unused: {value}\n    offline: {value}\napi:\n  /v1/ready:\n    timeout: {value}"
        ));
        assert_eq!(config.cache.any.as_secs(), 300, "{value}");
        assert_eq!(config.cache.unused.as_secs(), 30, "{value}");
        assert_eq!(config.cache.offline, None, "{value}");
        assert_eq!(config.api[0].timeout, None, "{value}");
    }
    for value in ["10", "10.0", "1S", "' 10s '", "10 s"] {
        assert_eq!(
            bad(&format!("cache: {{ expiry: {{ any: {value} }} }}")).len(),
            1,
            "{value}"
        );
    }
}

#[test]
fn authentication_can_be_skipped_for_four_routes_only() {
    let open = [
        "/version",
        "/v1/ready",
        "/v1/status",
        "/v1/metrics",
        "/v1/api",
    ];
    for route in ROUTES {
        let text = format!("api: {{ {route}: {{ skip_auth: on }} }}");
        if open.contains(route) {
            assert!(good(&text).api[0].skip_auth, "{route}");
        } else {
            let expected = format!(
                "kes.yml:1: api.{route}.skip_auth: authentication cannot be skipped for this API"
            );
            assert_eq!(bad(&text), [expected]);
        }
        assert!(!good(&format!("api: {{ {route}: {{ skip_auth: off }} }}")).api[0].skip_auth);
    }
}

#[test]
fn api_paths_are_recognised_in_every_spelling_but_only_once() {
    for key in [
        "v1/key/list",
        "/v1/key/list",
        "' /v1/key/list/ '",
        "/v1/key/list//",
    ] {
        let config = good(&format!("api:\n  {key}: {{ timeout: 1s }}"));
        assert_eq!(config.api[0].path, "/v1/key/list/");
        assert_eq!(config.api[0].line, 2);
        assert_eq!(config.warnings.len(), 1);
        assert_eq!(
            config.warnings[0].hint.as_deref(),
            Some("write '/v1/key/list/'")
        );
    }
    assert_eq!(
        bad("api:\n  /v1/status: {}\n  v1/status/: {}"),
        [
            "kes.yml:3: api.v1/status/: ambiguous API configuration for '/v1/status': it is also in line 2"
        ]
    );
    let config = good("api: { /v1/nothing: { skip_auth: on }, '': { skip_auth: on } }");
    assert!(config.api.is_empty());
    assert_eq!(config.warnings.len(), 2);
}

#[test]
fn policies_are_checked_for_names_patterns_and_identities() {
    let text = format!(
        "\
policy:
  -a: {{}}
  _: {{ allow: [ '/v1/[' ], deny: [ 'x\\' ] }}
  b: {{ identities: [ {ALICE}, {ALICE}, disabled, '', ~, '_', 'a b' ] }}
  c: {{ identities: [ {ALICE}, {BOB} ] }}"
    );
    let rule = "is empty, longer than 80 bytes, or contains other characters than 0-9 A-Z a-z - _";
    let malformed =
        "is not a pattern: a '[' class is unclosed, empty or malformed, or a '\\' is last";
    assert_eq!(
        bad(&text),
        [
            format!("kes.yml:2: policy.-a: policy name '-a' {rule}"),
            format!("kes.yml:3: policy._: policy name '_' {rule}"),
            format!("kes.yml:3: policy._.allow[0]: '/v1/[' {malformed}"),
            format!("kes.yml:3: policy._.deny[0]: 'x\\' {malformed}"),
            format!(
                "kes.yml:4: policy.b.identities[1]: identity '{ALICE}' already has a policy: 'b' in line 4"
            ),
            "kes.yml:4: policy.b.identities[2]: identity 'disabled' is already admin".to_owned(),
            format!("kes.yml:4: policy.b.identities[3]: identity '' {rule}"),
            format!("kes.yml:4: policy.b.identities[4]: identity '' {rule}"),
            format!("kes.yml:4: policy.b.identities[5]: identity '_' {rule}"),
            format!("kes.yml:4: policy.b.identities[6]: identity 'a b' {rule}"),
            format!(
                "kes.yml:5: policy.c.identities[0]: identity '{ALICE}' already has a policy: 'b' in line 4"
            ),
        ]
    );
}

#[test]
fn load_balancers_are_addresses_or_networks() {
    let config = good(
        "proxy_protocol:\n  from: [ 10.0.0.7, '', 192.168.1.9/16, fd00::/8, 192.168.0.0/16, '::ffff:10.0.0.7' ]",
    );
    let shown: Vec<_> = config
        .proxy_protocol
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["10.0.0.7/32", "192.168.0.0/16", "fd00::/8"]);
    assert!(good("proxy_protocol: {}").proxy_protocol.is_empty());
    assert!(good("").proxy_protocol.is_empty());
    assert_eq!(
        bad("proxy_protocol: { from: [ lb.example.net, 10.0.0.0/33 ] }"),
        [
            "kes.yml:1: proxy_protocol.from[0]: invalid network 'lb.example.net'",
            "kes.yml:1: proxy_protocol.from[1]: invalid network '10.0.0.0/33'",
        ]
    );
    assert_eq!(
        bad("proxy_protocol: { from: 10.0.0.7 }"),
        ["kes.yml:1: proxy_protocol.from: expected a list, found text"]
    );
    let warnings = good("proxy_protocol: { from: [ 0.0.0.0/0 ] }").warnings;
    assert_eq!(
        lines(&warnings),
        [
            "kes.yml:1: proxy_protocol.from[0]: is every address: whoever reaches the server can claim any client address"
        ]
    );
}

#[test]
fn a_stop_waits_a_second_unless_told_otherwise() {
    for (value, drain) in [("1ms", 1), ("10m", 600_000), ("''", 1000), ("~", 1000)] {
        let config = good(&format!("shutdown: {{ drain: {value} }}"));
        assert_eq!(config.drain.as_millis(), drain, "{value}");
    }
    assert_eq!(good("").drain.as_millis(), 1000);
    for value in ["0", "0s", "-1s", "10m1ns"] {
        assert_eq!(
            bad(&format!("shutdown: {{ drain: {value} }}")),
            [format!("kes.yml:1: shutdown.drain: invalid time '{value}'")]
        );
    }
}

#[test]
fn a_proxy_has_a_header_is_named_once_and_is_not_the_admin() {
    let proxy = |proxy: &str| {
        let text = REST
            .replace("disabled", BOB)
            .replace("cert: c", &format!("cert: c, proxy: {{ {proxy} }}"));
        problems(load(text, &[]))
    };
    let list = format!("identities: [ {ALICE} ]");
    for header in ["header: {}", "header: { cert: '' }", "header: ~"] {
        let said = proxy(&format!("{list}, {header}"));
        assert_eq!(
            said,
            ["kes.yml:2: tls.proxy.header.cert: no header specified"],
            "{header}"
        );
    }
    for header in ["a b", "x:y", "é"] {
        assert_eq!(
            proxy(&format!("{list}, header: {{ cert: '{header}' }}")),
            [format!(
                "kes.yml:2: tls.proxy.header.cert: '{header}' is no name of an HTTP header"
            )]
        );
    }
    assert_eq!(
        proxy(&format!(
            "identities: [ {ALICE}, {BOB}, {ALICE} ], header: {{ cert: X }}"
        )),
        [
            format!("kes.yml:2: tls.proxy.identities[1]: identity '{BOB}' is already admin"),
            format!(
                "kes.yml:2: tls.proxy.identities[2]: identity '{ALICE}' is already in the list"
            ),
        ]
    );
}

#[test]
fn proxies_have_a_header_and_no_policy() {
    let text = REST.replace(
        "cert: c",
        &format!("cert: c, proxy: {{ identities: [ {ALICE} ], header: {{ cert: X }} }}"),
    ) + &format!("policy: {{ a: {{ identities: [ {ALICE} ] }} }}\n");
    assert_eq!(
        problems(load(text, &[])),
        [format!(
            "kes.yml:4: policy.a.identities[0]: identity '{ALICE}' is already a TLS proxy"
        )]
    );
    let text = REST.replace(
        "cert: c",
        &format!(
            "cert: c, proxy: {{ identities: [ {ALICE}, {BOB} ], header: {{ cert: X-Cert }} }}"
        ),
    );
    let proxy = load(text, &[]).unwrap().tls.proxy;
    let identities: Vec<_> = proxy.identities.iter().map(Identity::as_str).collect();
    assert_eq!(identities, [ALICE, BOB]);
    assert_eq!(proxy.header.as_deref(), Some("X-Cert"));
    // Templates.
    let text = REST.replace(
        "cert: c",
        "cert: c, proxy: { identities: [ '', ~ ], header: { cert: X } }",
    );
    let proxy = load(text, &[]).unwrap().tls.proxy;
    assert!(proxy.identities.is_empty());
    assert_eq!(proxy.header.as_deref(), Some("X"));
}

#[test]
fn rules_and_identities_that_do_nothing_are_warned_about() {
    let upper = ALICE.to_ascii_uppercase();
    let text = REST.replace("disabled", &upper)
        + &format!(
            "policy:\n  a:\n    allow: [ /v1/key/list, /v1/key/*/x ]\n    deny: [ /v1/gone/* ]\n    identities: [ someone, {} ]\n",
            BOB.to_ascii_uppercase()
        );
    let warnings = load(text, &[]).unwrap().warnings;
    assert_eq!(
        lines(&warnings),
        [
            "kes.yml:1: admin.identity: matches no client: identities have lower-case digits",
            "kes.yml:6: policy.a.allow[0]: the rule '/v1/key/list' matches no API path",
            "kes.yml:6: policy.a.allow[1]: the rule '/v1/key/*/x' is read as a glob, in which '*' and '?' do not cross '/'",
            "kes.yml:7: policy.a.deny[0]: the rule '/v1/gone/*' matches no API path",
            "kes.yml:8: policy.a.identities[0]: matches no client: an identity has 64 lower-case hexadecimal digits",
            "kes.yml:8: policy.a.identities[1]: matches no client: an identity has 64 lower-case hexadecimal digits",
        ]
    );
    assert_eq!(warnings[1].hint.as_deref(), Some("write '/v1/key/list/*'"));
}

#[test]
fn verification_of_clients_is_switched_in_any_case() {
    for (value, auth) in [
        ("on", true),
        ("ON", true),
        ("Off", false),
        ("''", false),
        ("~", false),
    ] {
        let text = REST.replace("cert: c", &format!("cert: c, auth: {value}"));
        assert_eq!(load(text, &[]).unwrap().tls.auth, auth, "{value}");
    }
    for value in ["true", "yes", "1", "' on'"] {
        let text = REST.replace("cert: c", &format!("cert: c, auth: {value}"));
        assert_eq!(problems(load(text, &[])).len(), 1, "{value}");
    }
}

#[test]
fn the_stricter_of_flag_and_file_decides_on_verification() {
    for (file, flag, auth, warned) in [
        ("on", Some(false), true, false),
        ("on", Some(true), true, false),
        ("off", Some(true), true, true),
        ("off", Some(false), false, false),
        ("~", Some(true), true, false),
        ("~", Some(false), false, false),
        ("on", None, true, false),
    ] {
        let text = REST.replace("cert: c", &format!("cert: c, auth: {file}"));
        let fallback = Fallback {
            auth: flag,
            ..Fallback::default()
        };
        let config = load_with(text, &[], fallback).unwrap();
        assert_eq!(config.tls.auth, auth, "{file} {flag:?}");
        assert_eq!(!config.warnings.is_empty(), warned, "{file} {flag:?}");
    }
}

#[test]
fn flags_fill_in_what_the_file_lacks_and_nothing_else() {
    let fallback = Fallback {
        key: Some("flag.key".into()),
        cert: Some("flag.crt".into()),
        root: Some("flag".to_owned()),
        auth: None,
    };
    let config = load_with("keystore: { fs: { path: p } }", &[], fallback.clone()).unwrap();
    assert_eq!(config.tls.key, Path::new("flag.key"));
    assert_eq!(config.tls.cert, Path::new("flag.crt"));
    assert_eq!(config.admin.as_str(), "flag");
    assert!(config.warnings.is_empty());

    let config = load_with(REST, &[], fallback).unwrap();
    assert_eq!(config.tls.key, Path::new("k"));
    assert_eq!(config.tls.cert, Path::new("c"));
    assert_eq!(config.admin.as_str(), "disabled");
    assert_eq!(
        lines(&config.warnings),
        [
            "kes.yml:1: admin.identity: the flag '--root' names another identity and is ignored",
            "kes.yml:2: tls.key: the flag '--key' names another file and is ignored",
            "kes.yml:2: tls.cert: the flag '--cert' names another file and is ignored",
        ]
    );
    let same = Fallback {
        key: Some("k".into()),
        cert: Some("c".into()),
        root: Some("disabled".to_owned()),
        auth: Some(false),
    };
    assert!(load_with(REST, &[], same).unwrap().warnings.is_empty());
}

#[test]
fn files_are_read_from_disk_or_the_reason_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let env = kes::config::Env::of([("A", "127.0.0.1:1")]);
    let context = kes::config::Context {
        env: &env,
        routes: ROUTES,
        fallback: Fallback::default(),
    };
    let path = folder.path().join("kes.conf");
    std::fs::write(&path, format!("address: ${{A}}\n{REST}")).unwrap();
    assert_eq!(
        load_file(&path, &context)
            .unwrap_or_else(|e| panic!("{e}"))
            .address,
        "127.0.0.1:1"
    );

    std::fs::write(&path, "a: [").unwrap();
    let shown = load_file(&path, &context).err().unwrap().to_string();
    assert!(
        shown.starts_with(&format!("{}:", path.display())),
        "{shown}"
    );

    for path in [folder.path().join("absent"), folder.path().to_owned()] {
        let shown = load_file(&path, &context).err().unwrap().to_string();
        let expected = format!("{}: the file cannot be read: ", path.display());
        assert!(shown.starts_with(&expected), "{shown}");
    }
    let endless = load_file(Path::new("/dev/zero"), &context).err().unwrap();
    assert_eq!(
        endless.to_string(),
        "/dev/zero: the file is larger than 16777216 bytes"
    );
}
