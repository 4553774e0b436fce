//! In and out: text of requests and answers: percent encoding, XML both ways, hexadecimal, times. Small enough by hand
//! that the sink needs no parser: its clients are known programs, not attackers.

use std::fmt::Write;

pub fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        // The SDKs add this one to every request; it means nothing.
        .filter(|(name, _)| *name != "x-id")
        .map(|(name, value)| {
            (
                percent_decode(name),
                percent_decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

pub fn xml_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_ascii_control() => {
                let _ = write!(escaped, "&#{};", control as u32);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The texts of all elements of this name, in their order.
pub fn xml_elements(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after_open = document.split(open.as_str()).skip(1);
    after_open
        .filter_map(|rest| rest.split_once(close.as_str()))
        .map(|(text, _)| xml_unescape(text))
        .collect()
}

fn xml_unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, next) = after.split_once(';').unwrap_or((after, ""));
        let number = match entity
            .strip_prefix("#x")
            .or_else(|| entity.strip_prefix("#X"))
        {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => entity
                .strip_prefix('#')
                .and_then(|digits| digits.parse().ok()),
        };
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => number
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER),
        });
        rest = next;
    }
    plain + rest
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

/// The 16 bytes of a Content-MD5 header.
pub fn base64_md5(text: &str) -> Option<[u8; 16]> {
    let mut bits = 0_u128;
    let symbols = text
        .strip_suffix("==")
        .filter(|symbols| symbols.len() == 22)?;
    for (index, symbol) in symbols.bytes().enumerate() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        // The last of 22 symbols carries two bits of the 128.
        bits = if index == 21 {
            bits << 2 | u128::from(value >> 4)
        } else {
            bits << 6 | u128::from(value)
        };
    }
    Some(bits.to_be_bytes())
}

/// `2026-08-01T12:00:00.000Z`, from seconds since 1970.
pub fn iso_time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of a 400-year cycle that begins on 1 March, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.000Z",
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{
        base64_md5, hexadecimal, iso_time, percent_decode, percent_encode, query_pairs,
        xml_elements, xml_escape,
    };

    #[test]
    fn text_survives_both_ways() {
        let text = "a b/+%&<>\"'ü.html";
        assert_eq!(percent_decode(&percent_encode(text)), text);
        assert_eq!(
            xml_elements(&format!("<Key>{}</Key>", xml_escape(text)), "Key"),
            [text]
        );
        assert_eq!(
            query_pairs("prefix=a%2Bb+c&x-id=Any"),
            [("prefix".into(), "a+b c".into())]
        );
    }

    #[test]
    fn digests_and_times_are_read_and_written() {
        let empty = base64_md5("1B2M2Y8AsgTpgAmY7PhCfg==").expect("a digest");
        assert_eq!(hexadecimal(&empty), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(iso_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso_time(1_709_210_096), "2024-02-29T12:34:56.000Z");
    }
}
