//! Templates → text. Templates have Jinja's syntax. An undefined name is an error that says where it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use camino::Utf8Path;
use minijinja::machinery::{CodeGenerator, Instructions, eval, make_string_output, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use crate::dotenv;
use crate::identifier::{PortName, ProfileName};
use crate::port::Port;
use crate::slot::{SlotId, Workers};
use crate::template_shape::excess;
use crate::template_values::{MEASURED, measured, measuring};

/// The names that a template can use, and their values.
#[derive(Debug)]
pub struct Context<'a> {
    /// `slot.id`
    pub slot: SlotId,
    /// `slot.profile`
    pub profile: &'a ProfileName,
    /// `slot.dir`, absolute.
    pub dir: &'a Utf8Path,
    /// `pool.name`
    pub pool: &'a str,
    /// `pool.root`, absolute.
    pub root: &'a Utf8Path,
    /// `pool.env_prefix`
    pub env_prefix: &'a str,
    /// `ports.<name>`, in the order of the spec.
    pub ports: &'a [(PortName, Port)],
    /// `workers.<kind>`
    pub workers: &'a Workers,
    /// `env.<NAME>`, in the order of the spec. `None` while the values of `[env]` themselves are rendered.
    pub env: Option<&'a [(String, String)]>,
    /// `worktree`, absolute. Only files that a claim writes have it.
    pub worktree: Option<&'a Utf8Path>,
}

impl Context<'_> {
    /// The values by group, such as `slot` and `ports`.
    fn groups(&self) -> Vec<(&'static str, Vec<(String, Value)>)> {
        let Self { slot, profile, dir, pool, root, env_prefix, ports, workers, env, worktree: _ } = self;
        let slot =
            [("id", slot.get().into()), ("profile", profile.as_str().into()), ("dir", dir.as_str().into())];
        let pool =
            [("name", (*pool).into()), ("root", root.as_str().into()), ("env_prefix", (*env_prefix).into())];
        let named = |(name, value): (&str, Value)| (name.to_owned(), value);
        let mut groups = vec![
            ("slot", slot.into_iter().map(named).collect()),
            ("pool", pool.into_iter().map(named).collect()),
            ("ports", ports.iter().map(|(name, port)| (name.to_string(), port.get().into())).collect()),
            ("workers", workers.iter().map(|(kind, count)| (kind.to_string(), (*count).into())).collect()),
        ];
        if let Some(env) = env {
            groups.push((
                "env",
                env.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
            ));
        }
        groups
    }

    /// The values that stay the same while a slot's files are rendered.
    pub fn base(&self) -> Base {
        let without_env = Self { env: None, ..*self };
        let groups = without_env.groups().into_iter();
        Base(groups.map(|(group, entries)| (group, Value::from_pairs(entries))).collect())
    }

    /// Every name that a template can use, for suggestions.
    pub fn names(&self) -> Vec<String> {
        let groups = self.groups();
        let names = groups
            .iter()
            .flat_map(|(group, entries)| entries.iter().map(move |(name, _)| format!("{group}.{name}")));
        names.chain(self.worktree.map(|_| "worktree".to_owned())).collect()
    }
}

/// The values of a [`Context`] without `env` and `worktree`, made once and used for all files of a slot.
#[derive(Debug)]
pub struct Base(Vec<(&'static str, Value)>);

impl Base {
    /// The value to render with: the base, and the context's `env` and `worktree`.
    pub fn value(&self, Context { env, worktree, .. }: &Context<'_>) -> Value {
        let variables = |env: &[(String, String)]| {
            Value::from_pairs(env.iter().map(|(name, value)| (name.clone(), value.as_str())))
        };
        let env = env.map(|env| ("env", variables(env)));
        let worktree = worktree.map(|worktree| ("worktree", worktree.as_str().into()));
        Value::from_pairs(self.0.iter().cloned().chain(env).chain(worktree))
    }
}

/// The value for a template that can use `slot.id` only.
pub fn slot_id(slot: SlotId) -> Value {
    Value::from_pairs([("slot", Value::from_pairs([("id", slot.get())]))])
}

/// A mistake in a template, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the template that hold the mistake.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The undefined name, as the template writes it. `None` for any other mistake.
    pub undefined: Option<String>,
    /// The template's text.
    pub text: String,
}

/// The work that one rendering of a template may take, as minijinja counts it: an instruction, or 64 bytes of
/// what it makes.
const FUEL: u64 = 20_000;

/// The work that all renderings together may take: those of a pool's files and variables.
const FUEL_OF_ALL: u64 = 20_000_000;

/// How many renderings may each take too much work before the others are not tried.
const MOST_TOO_LONG: u64 = 50;

/// What is said where that is not enough.
pub const SPENT: &str = "all slots together take too much work: make the pool or its templates smaller";

/// What a template does not get: names whose values can hold themselves, or each other over and over.
const WITHHELD: [&str; 2] = ["namespace", "debug"];

/// Compiled templates, by name.
#[derive(Debug)]
pub struct Templates<'a> {
    environment: Environment<'a>,
    /// Each with whether it may use `env`.
    programs: BTreeMap<String, (Instructions<'a>, bool)>,
    /// The work that was done so far.
    spent: Cell<u64>,
}

impl<'a> Templates<'a> {
    /// No templates yet.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        if let Ok(syntax) = syntax.build() {
            environment.set_syntax(syntax);
        }
        for name in WITHHELD {
            environment.remove_global(name);
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL));
        environment.add_filter(MEASURED, measured);
        environment.add_filter("dotenv", |value: String| {
            dotenv::quote(&value).map_err(|reason| minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_filter("compose", |value: String| compose(&value));
        Self { environment, programs: BTreeMap::new(), spent: Cell::new(0) }
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// The first mistake in its syntax.
    pub fn add(&mut self, name: &str, source: &'a str) -> Result<(), TemplateError> {
        if let Some((span, message)) = excess(source, self.environment.syntax().clone()) {
            return Err(TemplateError { span, message, undefined: None, text: source.to_owned() });
        }
        let parsed = parse(source, "", self.environment.syntax().clone());
        let parsed = parsed.map_err(|error| error_in(source, &error))?;
        let mut generator = CodeGenerator::new("", source);
        generator.compile_stmt(&parsed);
        let (program, _) = generator.finish();
        self.programs.insert(name.to_owned(), (measuring(&program), names_env(source)));
        Ok(())
    }

    /// Renders a template that was added before.
    ///
    /// # Errors
    /// The first undefined name, or another failure.
    pub fn render(&self, name: &str, context: &Value) -> Result<String, TemplateError> {
        let Some((program, _)) = self.programs.get(name) else {
            return Err(error_in("", &ErrorKind::TemplateNotFound.into()));
        };
        if self.is_spent() {
            let (span, text) = (0..0, program.source().to_owned());
            return Err(TemplateError { span, message: SPENT.to_owned(), undefined: None, text });
        }
        let (mut text, blocks) = (String::new(), BTreeMap::new());
        let output = &mut make_string_output(&mut text);
        let done = eval(&self.environment, program, context.clone(), &blocks, output, AutoEscape::None);
        let spent = match &done {
            Ok((_, state)) => state.fuel_levels().map_or(FUEL, |(consumed, _)| consumed),
            // What ran out may have done much more than was counted.
            Err(error) if error.kind() == ErrorKind::OutOfFuel => FUEL_OF_ALL / MOST_TOO_LONG,
            Err(_) => FUEL,
        };
        self.spent.set(self.spent.get() + spent);
        done.map_err(|error| error_in(program.source(), &error))?;
        Ok(text)
    }

    /// Whether all renderings together took as much work as they may. Nothing more is rendered then.
    fn is_spent(&self) -> bool {
        self.spent.get() >= FUEL_OF_ALL
    }

    /// Whether a template may use `env`. Judges by its text, so `true` can be wrong, and `false` cannot.
    pub fn may_use_env(&self, name: &str) -> bool {
        self.programs.get(name).is_some_and(|(_, may_use_env)| *may_use_env)
    }
}

/// Whether a text has the word `env` as a name of its own. `.env` is another value's field or a file's name.
/// `env-file` would subtract from `env`, which is a map and allows no subtraction.
fn names_env(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    // Searching for a rare letter is much faster than for a word.
    text.match_indices('v').any(|(at, v)| {
        let Some(before) = text.get(..at).and_then(|text| text.strip_suffix("en")) else { return false };
        let before = before.chars().next_back();
        let mut after = text.get(at + v.len()..).unwrap_or_default().chars();
        let next = after.next();
        let is_difference = next == Some('-') && after.next().is_some_and(is_part);
        !before.is_some_and(|c| is_part(c) || c == '.') && !next.is_some_and(is_part) && !is_difference
    })
}

impl Default for Templates<'_> {
    fn default() -> Self {
        Self::new()
    }
}

fn error_in(source: &str, error: &minijinja::Error) -> TemplateError {
    let line_start =
        |line: usize| source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let span = error.range().unwrap_or_else(|| {
        let start = error.line().map_or(0, line_start);
        let line = source.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        start..start + line.len()
    });
    let expression = source.get(span.clone()).unwrap_or_default().trim();
    let undefined = (error.kind() == ErrorKind::UndefinedError).then(|| expression.to_owned());
    let message = match (&undefined, error.detail()) {
        (Some(name), _) => format!("`{name}` is not defined"),
        (None, _) if error.kind() == ErrorKind::OutOfFuel => {
            "it takes too much work: a loop, a filter or a text is too long".to_owned()
        }
        (None, Some(detail)) => detail.to_owned(),
        (None, None) => error.kind().to_string(),
    };
    TemplateError { span, message, undefined, text: source.to_owned() }
}

/// Quotes a value for a Compose file so that Compose reads the same value back: `$$` stands for `$`.
pub fn compose(value: &str) -> String {
    yaml(&value.replace('$', "$$"))
}

/// A text as a double-quoted YAML scalar.
pub fn yaml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str(r"\n"),
            '\t' => quoted.push_str(r"\t"),
            // What YAML must escape: controls, line separators, the byte order mark, and no characters.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_env_finds_every_use_of_env() {
        for text in [
            "{{ env.A }}",
            "{{env}}",
            "{{ env-}}",
            "{% for x in env|items %}",
            "{{ 1 -env['A'] }}",
            "{{ x ~env }}",
        ] {
            assert!(names_env(text), "{text}");
        }
        for text in [
            "",
            "{{ pool.env_prefix }}",
            "docker compose --env-file .env.sandbox",
            "environment",
            "{{ my_env }}",
        ] {
            assert!(!names_env(text), "{text}");
        }
    }

    #[test]
    fn templates_are_rendered_until_their_work_is_spent() {
        let mut templates = Templates::new();
        templates.add("a", "slot {{ slot.id }}").unwrap();
        let slot = slot_id(SlotId::new(3).unwrap());
        assert_eq!(templates.render("a", &slot).unwrap(), "slot 3");
        assert!(templates.spent.get() > 0);
        templates.spent.set(FUEL_OF_ALL);
        assert_eq!(templates.render("a", &slot).unwrap_err().message, SPENT);
    }

    #[test]
    fn compose_quotes_special_characters() {
        assert_eq!(compose("/a \"b\"/$HOME\\#\n\u{85}é"), r#""/a \"b\"/$$HOME\\#\n\u0085é""#);
    }

    #[test]
    fn what_makes_lists_jumps_to_where_it_should() {
        let context = slot_id(SlotId::new(3).unwrap());
        for (source, expected) in [
            ("{% for x in [1, 2, 3] %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}.", "1, 2, 3."),
            ("{% for x in [] %}a{% else %}none{% endfor %}", "none"),
            ("{% if [1] + [2] == [1, 2] %}yes{% else %}no{% endif %}", "yes"),
            ("{% if slot.id in range(5)|list %}in{% elif [1] %}out{% endif %}", "in"),
            (
                "{% if slot.id == 4 %}a{% elif slot.id == 3 %}{% for x in 'ab' %}{{ x|upper }}{% endfor %}{% endif %}",
                "AB",
            ),
            ("{{ [1] if false else [2, 3] }}", "[2, 3]"),
            ("{{ ([1] and [2]) or [3] }}{{ [0] * 2 }}", "[2][0, 0]"),
            (
                "{% set a = {'x': [1]} %}{{ a.x[0] }}{% for x in [1, 2] if x > 1 %}{{ [x] }}{% endfor %}",
                "1[2]",
            ),
        ] {
            let mut templates = Templates::new();
            templates.add("a", source).unwrap();
            assert_eq!(templates.render("a", &context).as_deref().ok(), Some(expected), "{source}");
        }
    }

    #[test]
    fn a_template_that_ran_out_counts_as_a_part_of_all_that_may_be_done() {
        let spent = |source: &str| {
            let mut templates = Templates::new();
            templates.add("a", source).unwrap();
            let result = templates.render("a", &slot_id(SlotId::new(3).unwrap()));
            (result.is_ok(), templates.spent.get())
        };
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert_eq!(spent(endless), (false, FUEL_OF_ALL / MOST_TOO_LONG));
        assert_eq!(spent("{{ nothing }}"), (false, FUEL));
        let (is_done, work) = spent("a");
        assert!(is_done && work < FUEL);
    }
}
