use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> ServerUrl {
    ServerUrl::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
}

#[test]
fn a_url_is_shown_in_one_way() {
    for (text, shown) in [
        ("postgres://ann@db.example/infra", "postgres://ann@db.example/infra"),
        ("postgresql://ann@db.example:5432/infra", "postgres://ann@db.example/infra"),
        ("postgres://db.example:6432/infra?sslmode=prefer", "postgres://db.example:6432/infra"),
        ("postgres://[::1]:6432/infra", "postgres://[::1]:6432/infra"),
        ("postgres:///infra?host=/run/x/", "postgres:///infra?host=/run/x"),
        ("postgres:///infra?host=/run/x&port=5433&user=ann", "postgres://ann@:5433/infra?host=/run/x"),
        (
            "postgres://a%40b@h/my%20db?connect_timeout=3&sslrootcert=~/ca.crt&sslmode=verify-full",
            "postgres://a%40b@h/my%20db?sslmode=verify-full&sslrootcert=~/ca.crt&connect_timeout=3",
        ),
    ] {
        assert_eq!(parsed(text).to_string(), shown);
        assert_eq!(parsed(shown), parsed(text));
    }
}

#[test]
fn what_a_url_says_is_found() {
    let url = parsed("postgres://ann@db.example:6432/infra?sslmode=require&connect_timeout=3");
    assert_eq!(url.user.as_deref(), Some("ann"));
    assert_eq!((url.place(), url.timeout()), ("db.example:6432".to_owned(), Duration::from_secs(3)));
    assert_eq!((url.host_of_password(), url.ssl_mode), ("db.example", SslMode::Require));
    let socket = parsed("postgres:///infra?host=/run/x");
    assert_eq!((socket.place().as_str(), socket.host_of_password()), ("/run/x/.s.PGSQL.5432", "/run/x"));
    assert_eq!(socket.timeout(), Duration::from_secs(10));
    assert_eq!(parsed("postgres:///infra?host=/run/postgresql").host_of_password(), "localhost");
}

#[test]
fn what_is_wrong_is_said() {
    for (text, what) in [
        ("mysql://h/d", "not one of PostgreSQL"),
        ("postgres://ann@/infra", "names no server"),
        ("postgres://h", "names no database"),
        ("postgres://h/d?host=/run/x", "names two servers"),
        ("postgres://h,i/d", "several servers"),
        ("postgres://h:0/d", "`0` is no port"),
        ("postgres://[::1]x/d", "is no host and port"),
        ("postgres://h/d?sslmode=on", "`sslmode=on` is none"),
        ("postgres://h/d?sslrootcert=ca.crt", "absolute or below"),
        ("postgres://h/d?sslrootcert=system", "does not go with `sslmode=prefer`"),
        ("postgres://h/d?connect_timeout=0", "1 to 300 seconds"),
        ("postgres://h/d?host=i", "no directory of a socket"),
        ("postgres://h/d?target_session_attrs=any", "no `target_session_attrs`"),
        ("postgres://h/d?sslmode=allow&sslmode=allow", "`sslmode` twice"),
        ("postgres://h/%zz", "begins no escape"),
        ("postgres://h/%ff", "begins no escape"),
        ("postgres://h/a%0ab", "control character"),
    ] {
        let mistake = ServerUrl::parse(text).expect_err(text);
        assert!(mistake.message.contains(what), "{text}: {mistake:?}");
    }
}

#[test]
fn a_password_is_kept_apart() {
    for text in ["postgres://ann:pass%40word@h/d", "postgres://ann@h/d?password=pass%40word"] {
        let mistake = ServerUrl::parse(text).expect_err(text);
        assert!(mistake.message.contains("has no password"), "{mistake:?}");
        let given = Given::parse(text).unwrap();
        assert_eq!(given.password.as_ref().map(Password::reveal), Some("pass@word"));
        assert_eq!(given.url.to_string(), "postgres://ann@h/d");
        assert!(!format!("{given:?}").contains("pass@"), "{given:?}");
    }
    assert_eq!(Given::parse("postgres://ann:@h/d").unwrap().password, None);
}

#[test]
fn passwords_are_found_in_a_text() {
    for (text, secrets) in [
        ("postgres://ann:word@h/d", vec!["word"]),
        ("postgres://ann:a/b?c@h/d", vec!["a/b?c"]),
        ("postgres://ann@h:5432/d?password=word&x=1", vec!["word"]),
        ("postgres://ann:one@h/d?password=two\"", vec!["one", "two"]),
        ("postgres://h:5432/d?sslmode=allow", vec![]),
    ] {
        let found: Vec<&str> = secrets_in(text).into_iter().map(|secret| &text[secret]).collect();
        assert_eq!(found, secrets, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(user in "[ -~é]{0,8}", host in "[ -+--~é]{1,8}", database in "[ -~é]{1,8}", port in 1_u16.., mode in 0_usize..6) {
        let user = Some(user).filter(|user| !user.is_empty());
        let mode = SslMode::of(SslMode::words().nth(mode).unwrap()).unwrap();
        let host = Host::Name(host.replace(['[', ']', ':'], "x"));
        let url = ServerUrl { user, host, port, database, ssl_mode: mode, root_cert: None, timeout: None };
        prop_assert_eq!(ServerUrl::parse(&url.to_string()), Ok(url));
    }
}
