//! The content type of a file by its extension, from a table of our own: the system's tables differ from image
//! to image, and text without a charset is read as Latin-1 by some browsers.

/// Extension, type, and whether it is text (then `; charset=utf-8` is added).
const TYPES: &[(&str, &str, bool)] = &[
    ("html", "text/html", true),
    ("htm", "text/html", true),
    ("css", "text/css", true),
    ("js", "text/javascript", true),
    ("mjs", "text/javascript", true),
    ("cjs", "text/javascript", true),
    ("json", "application/json", false),
    ("map", "application/json", false),
    ("jsonld", "application/ld+json", false),
    ("webmanifest", "application/manifest+json", false),
    ("geojson", "application/geo+json", false),
    ("xml", "application/xml", false),
    ("xsl", "application/xslt+xml", false),
    ("rss", "application/rss+xml", false),
    ("atom", "application/atom+xml", false),
    ("xhtml", "application/xhtml+xml", false),
    ("txt", "text/plain", true),
    ("text", "text/plain", true),
    ("log", "text/plain", true),
    ("md", "text/markdown", true),
    ("csv", "text/csv", true),
    ("tsv", "text/tab-separated-values", true),
    ("ics", "text/calendar", true),
    ("vcf", "text/vcard", true),
    ("vtt", "text/vtt", true),
    ("yaml", "application/yaml", false),
    ("yml", "application/yaml", false),
    ("toml", "application/toml", false),
    ("svg", "image/svg+xml", false),
    ("png", "image/png", false),
    ("apng", "image/apng", false),
    ("jpg", "image/jpeg", false),
    ("jpeg", "image/jpeg", false),
    ("gif", "image/gif", false),
    ("webp", "image/webp", false),
    ("avif", "image/avif", false),
    ("heic", "image/heic", false),
    ("bmp", "image/bmp", false),
    ("tif", "image/tiff", false),
    ("tiff", "image/tiff", false),
    ("ico", "image/vnd.microsoft.icon", false),
    ("woff", "font/woff", false),
    ("woff2", "font/woff2", false),
    ("ttf", "font/ttf", false),
    ("otf", "font/otf", false),
    ("eot", "application/vnd.ms-fontobject", false),
    ("mp3", "audio/mpeg", false),
    ("m4a", "audio/mp4", false),
    ("aac", "audio/aac", false),
    ("ogg", "audio/ogg", false),
    ("oga", "audio/ogg", false),
    ("opus", "audio/opus", false),
    ("flac", "audio/flac", false),
    ("wav", "audio/wav", false),
    ("weba", "audio/webm", false),
    ("mp4", "video/mp4", false),
    ("m4v", "video/mp4", false),
    ("webm", "video/webm", false),
    ("ogv", "video/ogg", false),
    ("mov", "video/quicktime", false),
    ("m3u8", "application/vnd.apple.mpegurl", false),
    ("ts", "video/mp2t", false),
    ("mpd", "application/dash+xml", false),
    ("pdf", "application/pdf", false),
    ("wasm", "application/wasm", false),
    ("zip", "application/zip", false),
    ("gz", "application/gzip", false),
    ("tgz", "application/gzip", false),
    ("tar", "application/x-tar", false),
    ("bz2", "application/x-bzip2", false),
    ("7z", "application/x-7z-compressed", false),
    ("epub", "application/epub+zip", false),
    ("doc", "application/msword", false),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        false,
    ),
    ("xls", "application/vnd.ms-excel", false),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        false,
    ),
    ("ppt", "application/vnd.ms-powerpoint", false),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        false,
    ),
    ("rtf", "application/rtf", false),
    ("swf", "application/x-shockwave-flash", false),
    ("glb", "model/gltf-binary", false),
    ("gltf", "model/gltf+json", false),
];

/// The `Content-Type` of the object `key`.
pub fn of(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let known = extension.and_then(|extension| TYPES.iter().find(|(each, ..)| *each == extension));
    match known {
        Some((_, kind, true)) => format!("{kind}; charset=utf-8"),
        Some((_, kind, false)) => (*kind).to_owned(),
        None => "application/octet-stream".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_charset_and_the_unknown_is_bytes() {
        for (key, kind) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b/APP.JS", "text/javascript; charset=utf-8"),
            ("logo.svg", "image/svg+xml"),
            ("font.woff2", "font/woff2"),
            ("LICENSE", "application/octet-stream"),
            ("a.html/b", "application/octet-stream"),
            ("x.unknown", "application/octet-stream"),
        ] {
            assert_eq!(of(key), kind, "{key}");
        }
    }

    #[test]
    fn no_extension_stands_twice() {
        let mut extensions: Vec<_> = TYPES.iter().map(|(extension, ..)| extension).collect();
        extensions.sort_unstable();
        extensions.dedup();
        assert_eq!(extensions.len(), TYPES.len());
    }
}
