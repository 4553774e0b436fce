//! COMPRESS by example: which bodies lie under which keys, and that their bytes stay the same.

use std::io::Read as _;

use super::*;

const BOTH: &[Encoding] = &[Encoding::Brotli, Encoding::Gzip];

fn shown(path: &str, size: u64, files: &[&str], wanted: &[Encoding]) -> String {
    let variants = variants(path, size, &|file| files.contains(&file), wanted);
    let lines = variants.iter().map(|each| {
        let source = match &each.source {
            VariantSource::Sibling(path) => path,
            VariantSource::Compressed => "compressed",
        };
        format!("{path}{}={source}", each.key_suffix)
    });
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_encoding_has_the_plain_key_and_files_go_before_compressing() {
    let (large, small) = (5000, 100);
    for (path, size, files, wanted, expected) in [
        (
            "a.js",
            large,
            &[][..],
            BOTH,
            "a.js=compressed a.js.gz=compressed",
        ),
        ("a.js", large, &[], &BOTH[1..], "a.js=compressed"),
        (
            "a.js",
            large,
            &["a.js.br"],
            BOTH,
            "a.js=a.js.br a.js.gz=compressed",
        ),
        // a.js.gz goes up by itself.
        ("a.js", large, &["a.js.gz"], BOTH, "a.js=compressed"),
        ("a.js", large, &["a.js.br", "a.js.gz"], BOTH, "a.js=a.js.br"),
        ("a.js", small, &[], BOTH, ""),
        ("a.js", small, &["a.js.br"], BOTH, "a.js=a.js.br"),
        ("a.js", small, &["a.js.gz"], BOTH, ""),
        ("a.js", large, &["a.js.br"], &[], ""),
        ("a.png", large, &["a.png.br"], BOTH, ""),
        ("a.js.gz", large, &["a.js"], BOTH, ""),
        (
            "a.js",
            large,
            &[],
            &[Encoding::Gzip, Encoding::Gzip],
            "a.js=compressed",
        ),
    ] {
        assert_eq!(
            shown(path, size, files, wanted),
            expected,
            "{path} {files:?}"
        );
    }
}

#[test]
fn texts_of_some_size_are_compressible() {
    for (path, size, expected) in [
        ("a.html", 1024, true),
        ("a.html", 1023, false),
        ("a.html", LARGEST + 1, false),
        ("a.svg", 2000, true),
        ("a.webmanifest", 2000, true),
        ("a.map", 2000, true),
        ("a.wasm", 2000, true),
        ("a.ttf", 2000, true),
        ("favicon.ico", 2000, true),
        ("a.woff2", 2000, false),
        ("a.jpg", 2000, false),
        ("a.zip", 2000, false),
        ("a.js.br", 2000, false),
        ("a.ts", 2000, false),
        ("LICENSE", 2000, false),
    ] {
        assert_eq!(is_compressible(path, size), expected, "{path} {size}");
    }
}

#[test]
fn siblings_know_their_originals() {
    for (path, expected) in [
        ("a.js.gz", Some(("a.js", Encoding::Gzip))),
        ("d/a.css.br", Some(("d/a.css", Encoding::Brotli))),
        ("lost.js.gz", None),
        ("data.tar.gz", None),
        ("a.js", None),
        (".gz", None),
    ] {
        let is_file = |path: &str| ["a.js", "d/a.css", "data.tar"].contains(&path);
        assert_eq!(original_of_sibling(path, &is_file), expected, "{path}");
    }
}

#[test]
fn the_list_has_two_words() {
    assert_eq!(Encoding::from_text(" gzip"), Ok(Encoding::Gzip));
    assert_eq!(Encoding::from_text("br"), Ok(Encoding::Brotli));
    assert_eq!(
        Encoding::from_text("zstd"),
        Err("unallowed value zstd (allowed: gzip, br)".to_owned())
    );
    for encoding in BOTH {
        assert_eq!(
            Encoding::from_text(encoding.content_encoding()),
            Ok(*encoding)
        );
    }
}

/// Words in an order that no encoder can foresee as a whole, from a generator of a few lines.
fn sample() -> Vec<u8> {
    let mut state: u32 = 1;
    let mut text = String::new();
    while text.len() < 200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let words = ["const ", "return ", "function ", "=> ", "{\n", "}\n"];
        text.push_str(words[(state >> 24) as usize % words.len()]);
        text.push_str(&(state >> 20).to_string());
    }
    text.into_bytes()
}

#[test]
fn what_is_compressed_comes_back() {
    for bytes in [Vec::new(), b"a".to_vec(), sample()] {
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&compress(&bytes, Encoding::Gzip).unwrap()[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, bytes);
        back.clear();
        let compressed = compress(&bytes, Encoding::Brotli).unwrap();
        brotli::BrotliDecompress(&mut &compressed[..], &mut back).unwrap();
        assert_eq!(back, bytes);
    }
}

#[test]
fn the_header_of_gzip_names_no_time_and_no_system() {
    let compressed = compress(b"a", Encoding::Gzip).unwrap();
    assert_eq!(compressed[..10], [31, 139, 8, 0, 0, 0, 0, 0, 2, 255]);
}

/// Fails when an encoder, its backend or its settings change: then every compressed object goes up once more,
/// which belongs into the changelog.
#[test]
fn the_bytes_are_always_the_same() {
    use md5::{Digest as _, Md5};
    let digest = |encoding| {
        let digest: [u8; 16] = Md5::digest(compress(&sample(), encoding).unwrap()).into();
        format!("{:032x}", u128::from_be_bytes(digest))
    };
    assert_eq!(digest(Encoding::Gzip), "20d82af3cfc4e8e8af004439761a0c9b");
    assert_eq!(digest(Encoding::Brotli), "5853d6c72e54fe36b0ab190ca2890c19");
}
