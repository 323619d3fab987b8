//! Bytes as a string that gives each of them back, such as the value of a variable that is no UTF-8. A byte
//! that is part of no character stands there as one of 256 characters for private use, as in fish.

use std::char;

/// The first of the characters that stand for a byte. Where a text has one itself, its bytes stand for it.
const FIRST: u32 = 0xF600;

/// The string for these bytes. That of UTF-8 without such characters is the same.
pub fn of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte(c) {
                Some(_) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().filter_map(stand_in)),
                None => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().copied().filter_map(stand_in));
    }
    text
}

/// The bytes that a string of [`of_bytes`] is for.
pub fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// JSON text in which no character stands for a byte: they are written by their numbers.
pub fn escaped_in_json(json: &str) -> String {
    let escape = |c: char| {
        if byte(c).is_some() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
    };
    json.chars().map(escape).collect()
}

fn stand_in(byte: u8) -> Option<char> {
    char::from_u32(FIRST + u32::from(byte))
}

fn byte(c: char) -> Option<u8> {
    u32::from(c).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let own = "a\u{f600}\u{f6ff}\u{f700}\u{f5ff}é\u{10ffff}".as_bytes();
        for bytes in [b"", &b"plain"[..], &all, &[0xff, 0xfe, b'a', 0xc3], own, &[own, &all].concat()] {
            let text = of_bytes(bytes);
            assert_eq!(to_bytes(&text), bytes, "{text:?}");
            assert_eq!(of_bytes(&to_bytes(&text)), text);
        }
        assert_eq!(of_bytes("größe \u{f700}".as_bytes()), "größe \u{f700}");
        assert_eq!(of_bytes(&[b'a', 0xff]), "a\u{f6ff}");
    }

    #[test]
    fn json_has_them_by_number() {
        assert_eq!(escaped_in_json("{\"a\":\"é\u{f6ff}\u{f700}\"}"), "{\"a\":\"é\\uf6ff\u{f700}\"}");
    }
}
