//! Names made of other names, so that two different ones never become one.

use crate::digest::Digest;

/// A name of lowercase letters, digits and single separators. It depends on the text alone: a name that holds
/// data must not change when another one is added. Where it loses a character of the text, it ends in a part
/// of the text's digest.
pub(super) fn slug(text: &str, separator: char) -> String {
    let kept: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { separator }).collect();
    let parts: Vec<&str> = kept.split(separator).filter(|part| !part.is_empty()).collect();
    let joined = parts.join(&separator.to_string());
    if joined == text {
        return joined;
    }
    let digest = Digest::of(text.as_bytes()).to_string();
    let digest: String = digest.chars().take(8).collect();
    if joined.is_empty() { digest } else { format!("{joined}{separator}{digest}") }
}

/// The same for an absolute path, whose first `/` says nothing.
pub(super) fn path_slug(path: &str) -> String {
    let below = path.trim_start_matches('/');
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '/';
    let is_plain = below.chars().all(is_plain) && below.split('/').all(|part| !part.is_empty());
    if is_plain { below.replace('/', "_") } else { slug(path, '_') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_others_are_told_apart() {
        assert_eq!(slug("web-1", '-'), "web-1");
        assert_eq!(path_slug("/srv/pg"), "srv_pg");
        let different = ["web_1", "Web-1", "web--1", "-web-1", "web.1", "größe", "_", "-"];
        let mut slugs: Vec<String> = different.iter().map(|text| slug(text, '-')).collect();
        assert!(slugs.iter().all(|slug| slug.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))));
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), different.len(), "{slugs:?}");
        assert_ne!(path_slug("/srv/pg_a"), path_slug("/srv/pg/a"));
        assert_ne!(path_slug("/srv//pg"), path_slug("/srv/pg"));
    }
}
