use anstream::adapter::strip_str;

use super::*;

fn source(text: &str) -> Source {
    Source { name: "slots.toml".to_owned(), text: text.into(), kind: SourceKind::Template }
}

#[test]
fn a_place_is_a_line_and_a_column_of_characters() {
    let source = source("one\nzwö\n\nlast");
    for (byte, place) in [
        (0, (1, 1)),
        (3, (1, 4)),
        (4, (2, 1)),
        (6, (2, 3)),
        // In the middle of a character.
        (7, (2, 3)),
        (8, (2, 4)),
        (9, (3, 1)),
        (10, (4, 1)),
        (14, (4, 5)),
    ] {
        assert_eq!(source.line_and_column(byte), place, "{byte}");
    }
}

#[test]
fn the_lines_of_a_place_are_whole_and_no_more() {
    let text = "one\ntwo\nthree\nfour";
    for (span, lines) in [
        (0..0, "one"),
        (3..3, "one"),
        (4..4, "two"),
        (5..6, "two"),
        (5..7, "two"),
        (6..9, "two\nthree"),
        (14..18, "four"),
        (18..90, "four"),
        (90..99, "four"),
        (0..18, text),
    ] {
        assert_eq!(lines_around(text, &span), lines, "{span:?}");
    }
    assert_eq!(within(&(1..2), "äb"), 0..2, "of a character, all is meant");
    assert_eq!(within(&Range { start: 3, end: 1 }, "abcd"), 3..3);
}

#[test]
fn a_mistake_is_shown_at_its_place_with_all_that_is_known_of_it() {
    let source = source("name = \"a\"\nroot = \"b\"\n");
    let mistake = Mistake::new(18..21, "no \u{9b}such root")
        .label("this")
        .related(0..4, "that")
        .help("say another".to_owned())
        .note("roots are directories");
    let shown = strip_str(&render([(&source, &mistake)])).to_string();
    for part in [
        "error: no ",
        "--> slots.toml:2:8",
        "1 | name = \"a\"",
        "---- that",
        "^^^ this",
        "help: say another",
        "note: roots are directories",
    ] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
    assert!(!shown.contains('\u{9b}'), "a terminal obeys it:\n{shown}");
    let plain = strip_str(&render([(&source, &Mistake::new(0..4, "bad"))])).to_string();
    assert!(!plain.contains("help") && !plain.contains("note") && plain.ends_with("| ^^^^"), "{plain}");
}

#[test]
fn of_many_mistakes_the_first_are_shown_and_the_others_counted() {
    let short = source("a = 1\n");
    let of = |mistakes: usize, source: &Source| {
        let mistake = Mistake::new(0..1, "bad");
        let text = render(std::iter::repeat_n((source, &mistake), mistakes));
        let more = text.lines().last().and_then(|last| last.strip_prefix("… and ")).map(str::to_owned);
        (text.matches("bad").count(), more)
    };
    assert_eq!(of(SHOWN, &short), (SHOWN, None));
    assert_eq!(of(SHOWN + 1, &short), (SHOWN, Some("1 more".to_owned())));
    // The line of each is long: two of them are as much as is shown.
    let half = source(&"a".repeat(MOST_TEXT / 2));
    assert_eq!(of(3, &half), (2, Some("1 more".to_owned())));
    let less = source(&"a".repeat(MOST_TEXT / 2 - 1));
    assert_eq!(of(4, &less), (3, Some("1 more".to_owned())));
}

#[test]
fn each_mistake_is_shown_in_its_own_source() {
    let [one, other] = ["first = 1", "second = 2"].map(source);
    let mistake = Mistake::new(0..1, "bad");
    let shown = render([(&one, &mistake), (&other, &mistake)]);
    assert!(shown.contains("first") && shown.contains("second"), "{shown}");
    let spec = Source { kind: SourceKind::Spec, ..source("[env]\nA = \"hunter2\"\n") };
    let shown = render([(&spec, &Mistake::new(10..19, "bad"))]);
    assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_misspelt_name_is_answered_with_the_closest_or_with_all() {
    for (misspelt, known, expected) in [
        ("apj", vec!["web", "api"], "did you mean `api`?"),
        ("ap", vec!["api", "apii"], "did you mean `api`?"),
        ("slot.ip", vec!["slot.id", "slot.dir"], "did you mean `slot.id`?"),
        // Only the first parts are alike.
        ("project.x", vec!["project.dir"], "known: `project.dir`"),
        ("zzz", vec!["web", "api"], "known: `web`, `api`"),
    ] {
        assert_eq!(suggestion(misspelt, known.clone(), "known:").as_deref(), Some(expected), "{misspelt}");
        assert_eq!(closest(misspelt, known).is_some(), expected.starts_with("did"), "{misspelt}");
    }
    assert_eq!(suggestion("api", [], "known:"), None);
}

#[test]
fn a_refused_value_keeps_its_advice() {
    let invalid = Invalid { message: "too large".to_owned(), help: Some("say less".to_owned()) };
    let expected = Mistake { help: Some("say less".to_owned()), ..Mistake::new(3..5, "too large") };
    assert_eq!(Mistake::invalid(3..5, invalid), expected);
}
