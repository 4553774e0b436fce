//! Which processor a native binary is for, from the first bytes of its file. A wheel or addon that was built for another
//! one is the commonest reason why a function fails only once it is called.
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>

use std::fmt;

/// The processor in an ELF header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Machine {
    /// Lambda's `x86_64`.
    X86_64,
    /// Lambda's `arm64`.
    Arm64,
    /// One that Lambda does not have, by its number in the header.
    Other(u16),
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86_64 => write!(out, "x86_64"),
            Self::Arm64 => write!(out, "arm64"),
            Self::Other(3) => write!(out, "32-bit x86"),
            Self::Other(40) => write!(out, "32-bit arm"),
            Self::Other(number) => write!(out, "another processor (ELF machine {number})"),
        }
    }
}

/// Bytes that [`machine`] needs.
pub const HEADER: usize = 20;

/// The machine of an ELF file that begins with these bytes; nothing for any other file.
pub fn machine(bytes: &[u8]) -> Option<Machine> {
    let header = bytes.get(..HEADER)?;
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    // EI_DATA: all of Lambda's processors are little-endian, and only for those are the numbers told apart below.
    let number = [header[18], header[19]];
    let number = if header[5] == 2 {
        u16::from_be_bytes(number)
    } else {
        u16::from_le_bytes(number)
    };
    Some(match number {
        62 => Machine::X86_64,
        183 => Machine::Arm64,
        other => Machine::Other(other),
    })
}
