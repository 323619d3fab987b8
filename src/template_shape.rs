//! What a template may look like. The engine parses, compiles and drops an expression with a call for each of
//! its parts, so one with very many of them would overflow the stack. Pure.

use std::ops::Range;

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The most operators, filters and brackets in one tag.
const MOST_OPERATORS: usize = 200;

/// The most branches of all `if`s together.
const MOST_BRANCHES: usize = 200;

/// The most lists and maps that a template writes down. Each can hold the one before it.
const MOST_CONTAINERS: usize = 100;

/// What a plain tag does not have. Its first `}` ends it.
const NOT_PLAIN: [char; 7] = ['{', '(', ')', '[', ']', '"', '\''];

/// The words that join expressions.
const WORDS: [&str; 7] = ["not", "and", "or", "in", "is", "if", "else"];

/// The first place where a template has too much of something, and what it has too much of. What is no
/// template at all is left to the engine.
pub(crate) fn excess(source: &str, syntax: SyntaxConfig) -> Option<(Range<usize>, String)> {
    if has_plain_tags(source) { None } else { counted_excess(source, syntax) }
}

/// Whether a template is seen to be small without reading its tags: none is long, and none has brackets or
/// texts, which could hide its end. The engine goes on after a `}` only, so it begins no tag at the second
/// `{` of one, and every tag is looked at.
fn has_plain_tags(source: &str) -> bool {
    let (mut rest, mut branches) = (source, 0);
    while let Some((_, after)) = rest.split_once('{') {
        rest = after;
        let Some(inside) = after.strip_prefix(['{', '%']) else { continue };
        let is_variable = after.starts_with('{');
        let Some((tag, after)) = inside.split_once('}') else { return false };
        let is_ended = if is_variable { after.starts_with('}') } else { tag.ends_with('%') };
        if !is_ended || tag.len() > MOST_OPERATORS || tag.contains(NOT_PLAIN) {
            return false;
        }
        branches += tag.matches("elif").count();
        rest = after;
    }
    branches <= MOST_BRANCHES
}

fn counted_excess(source: &str, syntax: SyntaxConfig) -> Option<(Range<usize>, String)> {
    let (mut operators, mut branches, mut containers) = (0, 0, 0);
    let mut is_operand = false;
    for (token, span) in tokenize(source, false, syntax).map_while(Result::ok) {
        if matches!(token, Token::VariableStart | Token::BlockStart) {
            operators = 0;
        }
        let is_container = matches!(token, Token::BracketOpen | Token::BraceOpen) && !is_operand;
        operators += usize::from(is_operator(&token));
        branches += usize::from(matches!(token, Token::Ident("elif")));
        containers += usize::from(is_container);
        let too_many = |what: &str, most: usize| Some((place(span), format!("more than {most} {what}")));
        if operators > MOST_OPERATORS {
            return too_many("operators, filters and brackets in one tag", MOST_OPERATORS);
        }
        if branches > MOST_BRANCHES {
            return too_many("`elif` in a template", MOST_BRANCHES);
        }
        if containers > MOST_CONTAINERS {
            return too_many("lists and maps in a template", MOST_CONTAINERS);
        }
        is_operand = ends_an_operand(&token);
    }
    None
}

fn place(span: Span) -> Range<usize> {
    let byte = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    byte(span.start_offset)..byte(span.end_offset)
}

/// Whether a token joins expressions, so that the parser makes one more part of them.
fn is_operator(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(word) => WORDS.contains(word),
        Token::TemplateData(_)
        | Token::VariableStart
        | Token::VariableEnd
        | Token::BlockStart
        | Token::BlockEnd
        | Token::Str(_)
        | Token::String(_)
        | Token::Int(_)
        | Token::Int128(_)
        | Token::Float(_)
        | Token::Comma
        | Token::Colon
        | Token::BracketClose
        | Token::BraceClose
        | Token::ParenClose => false,
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::FloorDiv
        | Token::Pow
        | Token::Mod
        | Token::Dot
        | Token::Tilde
        | Token::Assign
        | Token::Pipe
        | Token::Eq
        | Token::Ne
        | Token::Gt
        | Token::Gte
        | Token::Lt
        | Token::Lte
        | Token::BracketOpen
        | Token::BraceOpen
        | Token::ParenOpen => true,
    }
}

/// Whether a bracket after this token looks something up, and does not begin a list.
fn ends_an_operand(token: &Token<'_>) -> bool {
    if let Token::Ident(word) = token {
        return !WORDS.contains(word);
    }
    matches!(
        token,
        Token::Str(_) | Token::String(_) | Token::BracketClose | Token::BraceClose | Token::ParenClose
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(source: &str) -> Option<(Range<usize>, String)> {
        excess(source, SyntaxConfig::default())
    }

    #[test]
    fn an_expression_with_too_many_parts_is_found_where_it_is_too_long() {
        for part in ["|upper", "~1", " and 1", ".a", "[0]", "()", " is odd", "|default(1, 2)", " if 1 else 1"]
        {
            for tag in [["{{ a", " }}"], ["{% if a", " %}{% endif %}"], ["{{ {'b': {}} and a", " }}"]] {
                let with = |count: usize| format!("\n{}{}{}", tag[0], part.repeat(count), tag[1]);
                assert_eq!(found(&with(20)), None, "{part}");
                assert_eq!(found(&format!("{{{{ {}1 }}}}", "not ".repeat(MOST_OPERATORS))), None);
                let source = with(MOST_OPERATORS + 1);
                let (place, what) = found(&source).unwrap();
                assert!(what.starts_with("more than 200 operators"), "{what}");
                assert!(place.start < source.len() && place.start > part.len() * 40, "{part} {place:?}");
            }
        }
        let many_tags = "{{ 'a' ~ slot.id }}".repeat(MOST_OPERATORS * 3);
        assert_eq!(found(&many_tags), None, "each tag is counted for itself");
    }

    #[test]
    fn what_is_seen_to_be_small_has_no_excess() {
        let pieces = proptest::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", "{", "}", "%", "-", "'", "\"", "(", ")", "[", "]", " a",
            "|a", "~1", " elif a", " raw ", " endraw ", "\n", "é",
        ]);
        let repeated = (pieces, prop_oneof![9 => 1_usize..3, 1 => 190_usize..260]);
        let sources = proptest::collection::vec(repeated, 0..12)
            .prop_map(|parts| parts.iter().map(|(piece, count)| piece.repeat(*count)).collect::<String>());
        proptest!(ProptestConfig::with_cases(20_000), |(source in sources)| {
            let counted = counted_excess(&source, SyntaxConfig::default());
            prop_assert!(counted.is_none() || !has_plain_tags(&source), "{source}");
        });
        for plain in ["", "{ {a}", "{{- slot.id | dotenv -}}\n{%- if a == 1 %}{# {a} #}b{% endif +%}"] {
            assert!(has_plain_tags(plain), "{plain}");
        }
        let long = format!("{{{{ {} }}}}", "a".repeat(MOST_OPERATORS));
        for other in ["{{ a", "{{ a }", "{% a }", "{{ [a] }}", "{{ 'a' }}", "{{ {} }}", "{{ (a) }}", &long] {
            assert!(!has_plain_tags(other), "{other}");
        }
    }

    #[test]
    fn branches_lists_and_prefixes_are_counted_too() {
        let branches = format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(201));
        let lists = "{% set a = [a] %}".repeat(101);
        let maps = "{% set a = {'a': a} %}".repeat(101);
        let prefixes = format!("{{{{ {}1 }}}}", "not ".repeat(201));
        for (source, what) in [
            (branches, "`elif`"),
            (lists, "lists and maps"),
            (maps, "lists and maps"),
            (prefixes, "operators"),
        ] {
            assert!(found(&source).unwrap().1.contains(what), "{what}");
        }
        let most = format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(MOST_BRANCHES));
        assert_eq!(found(&(most + &"{% set a = [a] %}".repeat(MOST_CONTAINERS))), None, "as many as may be");
        assert_eq!(found(&"{{ ports['web'] }}{{ 'a'[0] }}".repeat(500)), None, "these are no lists");
        assert_eq!(found(&format!("{{% raw %}}{{{{ 1{} }}}}{{% endraw %}}", "|a".repeat(500))), None);
    }
}
