//! How large the values are that a template makes. A list that holds another one over and over is small
//! itself, and its text, a comparison or a search in it would take endless memory or time. So each value is
//! measured where it is made, and what comes after works on small ones only. Pure.

use minijinja::machinery::{Instruction, Instructions};
use minijinja::value::{DynObject, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// The largest list or map, in bytes: each item counts as its text and one more.
const LARGEST: usize = 64 << 10;

/// The most lists and maps in each other.
const DEEPEST: usize = 100;

/// How many bytes are measured for one step of work.
const BYTES_PER_STEP: usize = 64;

/// Filters whose values are not measured. Most make a text or a number. `items` lists a map that is there,
/// and makes none.
const UNMEASURED: [&str; 10] =
    ["dotenv", "compose", "upper", "lower", "title", "capitalize", "trim", "replace", "length", "items"];

/// The filter that measures a value and hands it on.
pub(crate) const MEASURED: &str = "measured";

/// A program that measures what it makes: after each instruction that can make a list or a map, the value
/// goes through [`MEASURED`].
pub(crate) fn measuring<'a>(program: &Instructions<'a>) -> Instructions<'a> {
    let all = || (0..).map_while(|at| Some((at, program.get(at)?)));
    let places = all().scan(0_u32, |next, (_, instruction)| {
        let place = *next;
        *next += 1 + u32::from(makes_a_value(instruction));
        Some(place)
    });
    let mut places: Vec<u32> = places.collect();
    // A jump may lead behind the last one.
    places.push(
        places.last().zip(all().last()).map_or(0, |(at, (_, it))| at + 1 + u32::from(makes_a_value(it))),
    );
    let mut measuring = Instructions::new(program.name(), program.source());
    for (at, instruction) in all() {
        let is_measured = makes_a_value(instruction);
        let measured = is_measured.then_some(Instruction::ApplyFilter(MEASURED, Some(1), u8::MAX));
        for instruction in [moved(instruction, &places)].into_iter().chain(measured) {
            match (program.get_span(at), program.get_line(at)) {
                (Some(span), _) => measuring.add_with_span(instruction, span),
                (None, Some(line)) => {
                    measuring.add_with_line(instruction, u16::try_from(line).unwrap_or(u16::MAX))
                }
                (None, None) => measuring.add(instruction),
            };
        }
    }
    measuring
}

/// Whether an instruction can leave a list or a map that is larger than what it is made of.
fn makes_a_value(instruction: &Instruction<'_>) -> bool {
    if let Instruction::LoadConst(value) = instruction {
        return is_container(value);
    }
    if let Instruction::ApplyFilter(name, ..) = instruction {
        return !UNMEASURED.contains(name);
    }
    matches!(
        instruction,
        Instruction::BuildMap(_)
            | Instruction::BuildList(_)
            | Instruction::BuildTuple(_)
            | Instruction::Add
            | Instruction::Mul
            | Instruction::CallFunction(..)
            | Instruction::CallMethod(..)
            | Instruction::CallObject(_)
    )
}

/// An instruction that jumps to where its target is now.
fn moved<'a>(instruction: &Instruction<'a>, places: &[u32]) -> Instruction<'a> {
    let mut moved = instruction.clone();
    if let Instruction::Iterate(target)
    | Instruction::Jump(target)
    | Instruction::JumpIfFalse(target)
    | Instruction::JumpIfFalseOrPop(target)
    | Instruction::JumpIfTrueOrPop(target) = &mut moved
        && let Some(place) = usize::try_from(*target).ok().and_then(|target| places.get(target))
    {
        *target = *place;
    }
    moved
}

/// The filter [`MEASURED`].
pub(crate) fn measured(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if is_container(&value) {
        let mut left = LARGEST;
        measure(&value, DEEPEST, &mut left)?;
        state.consume_fuel(u64::try_from((LARGEST - left) / BYTES_PER_STEP).unwrap_or(u64::MAX))?;
    }
    Ok(value)
}

/// Whether a value holds others.
fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

/// How long the text of a number is.
fn digits(number: i64) -> usize {
    let digits = number.unsigned_abs().checked_ilog10().map_or(1, |tens| 1 + tens as usize);
    digits + usize::from(number < 0)
}

fn measure(value: &Value, depth: usize, left: &mut usize) -> Result<(), Error> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidOperation, what);
    let text = match value.as_str() {
        Some(text) => text.len(),
        None if is_container(value) => 1,
        None => match value.as_i64().filter(|_| value.is_integer()) {
            Some(number) => digits(number),
            None => value.to_string().len(),
        },
    };
    *left = left
        .checked_sub(text + 1)
        .ok_or_else(|| invalid(format!("a list or a map is larger than {} KiB", LARGEST >> 10)))?;
    if !is_container(value) {
        return Ok(());
    }
    let deeper = depth
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("more than {DEEPEST} lists and maps are in each other")))?;
    let pairs =
        value.as_object().filter(|_| value.kind() == ValueKind::Map).and_then(DynObject::try_iter_pairs);
    if let Some(mut pairs) = pairs {
        return pairs.try_for_each(|(key, item)| {
            measure(&key, deeper, left).and_then(|()| measure(&item, deeper, left))
        });
    }
    value.try_iter()?.try_for_each(|item| measure(&item, deeper, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_long_as_its_text() {
        for number in [0, 9, 10, 99, 100, -1, -10, i64::MIN, i64::MAX] {
            assert_eq!(digits(number), number.to_string().len(), "{number}");
            let mut left = LARGEST;
            measure(&Value::from(number), DEEPEST, &mut left).unwrap();
            assert_eq!(LARGEST - left, number.to_string().len() + 1, "{number}");
        }
    }

    #[test]
    fn a_value_is_measured_with_all_that_is_in_it() {
        let fits = |value: &Value| measure(value, DEEPEST, &mut LARGEST.clone()).is_ok();
        for (length, is_taken) in [(LARGEST - 3, true), (LARGEST - 2, false)] {
            let text = Value::from("x".repeat(length));
            assert_eq!(fits(&Value::from(vec![text])), is_taken, "{length}");
        }
        let map = |length: usize| Value::from_pairs([("k".repeat(length), "v".repeat(length))]);
        assert_eq!([fits(&map(LARGEST / 2 - 2)), fits(&map(LARGEST / 2 - 1))], [true, false]);
        let nested = |depth: usize| (0..depth).fold(Value::from(1), |value, _| Value::from(vec![value]));
        assert_eq!([fits(&nested(DEEPEST)), fits(&nested(DEEPEST + 1))], [true, false]);
    }
}
