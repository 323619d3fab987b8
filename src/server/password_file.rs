//! The format of `~/.pgpass`, as libpq reads it.

use super::password::Password;

/// What a password is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The server's name or address, or `localhost` for a socket in its usual directory.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password of the first line that fits. A line is `host:port:database:user:password`; `*` in one of the
/// first four fits everything, and `\` takes the next character as it is.
pub fn password_in(text: &str, wanted: &Wanted<'_>) -> Option<Password> {
    let Wanted { host, port, database, user } = wanted;
    let port = port.to_string();
    let lines = text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines = lines.filter(|line| !line.starts_with('#'));
    let of_line = |line: &str| {
        let fields = fields(line);
        let [a, b, c, d, password] = <[Field; 5]>::try_from(fields).ok()?;
        let fits = [(a, *host), (b, &port), (c, *database), (d, *user)];
        let fits = fits.iter().all(|(field, value)| field.written == "*" || field.meant == *value);
        (fits && !password.meant.is_empty()).then(|| Password::new(password.meant))
    };
    lines.into_iter().find_map(of_line)
}

/// One field of a line: as it is written, and without its escapes.
#[derive(Debug, Default)]
struct Field {
    written: String,
    meant: String,
}

/// The five fields of a line. What follows a colon after the fifth belongs to nothing, as for libpq.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let is_last = fields.len() == 5;
        let Some(field) = fields.last_mut() else { break };
        match character {
            ':' if is_last => break,
            ':' => fields.push(Field::default()),
            '\\' => {
                let next = characters.next();
                field.written.push('\\');
                field.written.extend(next);
                field.meant.extend(next);
            }
            _ => {
                field.written.push(character);
                field.meant.push(character);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let wanted = Wanted { host: "db.example", port: 5432, database: "infra", user: "ann" };
        for (text, password) in [
            ("db.example:5432:infra:ann:secret", Some("secret")),
            ("# db.example:5432:infra:ann:other\ndb.example:5432:infra:ann:secret\r\n", Some("secret")),
            ("db.example:5432:infra:bob:other\n*:*:*:ann:secret\n*:*:*:*:last", Some("secret")),
            ("db.example:5433:infra:ann:other", None),
            ("db.example:5432:infra:ann:a\\:b\\\\c:rest", Some("a:b\\c")),
            ("db\\.example:5432:infra:ann:secret", Some("secret")),
            ("\\*:5432:infra:ann:other", None),
            ("db.example:5432:infra:ann:", None),
            ("db.example:5432:infra:ann", None),
            ("", None),
        ] {
            let found = password_in(text, &wanted);
            assert_eq!(found.as_ref().map(Password::reveal), password, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", Password::new("secret")), "***");
    }
}
