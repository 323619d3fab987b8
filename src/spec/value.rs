//! Single values of a `slots.toml`. Each function returns `None` after it has noted a mistake.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use super::invalid::Invalid;
use super::mistake::Mistake;

/// A value with its place in the file.
pub(super) type TomlValue<'a> = &'a Spanned<DeValue<'a>>;

/// Reads a string and checks it with `read`. `what` is how messages name the value.
pub(super) fn text<T, E: Into<Invalid>>(
    value: TomlValue<'_>,
    what: &str,
    mistakes: &mut Vec<Mistake>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let DeValue::String(text) = value.get_ref() else {
        let is_scalar = !matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        let help = is_scalar.then(|| "put it in quotes".to_owned());
        mistakes.push(wrong_type(value, what, "a string").help(help));
        return None;
    };
    read(text).map_err(|invalid| mistakes.push(Mistake::invalid(value.span(), invalid))).ok()
}

/// Reads an array of strings and checks each with `read`. `what` is how messages name the array, `item` how
/// they name a string of it.
pub(super) fn list<T, E: Into<Invalid>>(
    value: TomlValue<'_>,
    what: &str,
    item: &str,
    mistakes: &mut Vec<Mistake>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<Spanned<T>>> {
    let DeValue::Array(items) = value.get_ref() else {
        mistakes.push(wrong_type(value, what, "an array of strings"));
        return None;
    };
    let read =
        items.iter().map(|value| Some(Spanned::new(value.span(), text(value, item, mistakes, &read)?)));
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Reads a whole number within a range.
pub(super) fn number(
    value: TomlValue<'_>,
    what: &str,
    range: RangeInclusive<u16>,
    mistakes: &mut Vec<Mistake>,
) -> Option<u16> {
    let DeValue::Integer(digits) = value.get_ref() else {
        mistakes.push(wrong_type(value, what, "a whole number"));
        return None;
    };
    let number = u16::from_str_radix(digits.as_str(), digits.radix()).ok();
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        let message = format!("{what} must be between {} and {}, not {digits}", range.start(), range.end());
        mistakes.push(Mistake::new(value.span(), message));
    }
    number
}

/// Reads `true` or `false`.
pub(super) fn flag(value: TomlValue<'_>, what: &str, mistakes: &mut Vec<Mistake>) -> Option<bool> {
    if let DeValue::Boolean(flag) = value.get_ref() {
        return Some(*flag);
    }
    mistakes.push(wrong_type(value, what, "`true` or `false`"));
    None
}

pub(super) fn wrong_type(value: TomlValue<'_>, what: &str, wanted: &str) -> Mistake {
    let message = format!("{what} must be {wanted}, not of type {}", value.get_ref().type_str());
    Mistake::new(value.span(), message)
}
