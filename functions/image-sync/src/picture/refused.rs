//! Why a file is no picture that we keep. The reasons are words of ours: none of them repeats a byte of the file.

use std::io;

/// Why a file is refused. The text begins with the word of the quarantine's reason.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It does not begin as a picture does.
    #[error("not_an_image: it looks like {0}")]
    NotAnImage(LooksLike),
    /// A picture, in a format or a variant that we do not read.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// More than `IMAGE_BYTES_MAX`.
    #[error("too_many_bytes: {0}")]
    TooManyBytes(u64),
    /// More than `PIXELS_MAX`, or a side of more than `SIDE_PX_MAX`.
    #[error("too_many_pixels: {width} x {height}")]
    TooManyPixels {
        /// In pixels, as its header says.
        width: u32,
        /// In pixels, as its header says.
        height: u32,
    },
    /// It ends before the picture does.
    #[error("truncated: it ends before the picture does")]
    Truncated,
    /// It contradicts itself, or its format.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// It is made to cost more than a picture may.
    #[error("bomb: {0}")]
    Bomb(&'static str),
    /// Another file is appended to the picture.
    #[error("polyglot: what follows the picture looks like {0}")]
    Polyglot(LooksLike),
    /// The file could not be read, which says nothing about the picture.
    #[error("unreadable")]
    Unreadable(#[source] io::Error),
}

impl Refused {
    /// The word of the reason, for a field and a metric.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotAnImage(_) => "not_an_image",
            Self::Unsupported(_) => "unsupported",
            Self::TooManyBytes(_) => "too_many_bytes",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::Truncated => "truncated",
            Self::Damaged(_) => "damaged",
            Self::Bomb(_) => "bomb",
            Self::Polyglot(_) => "polyglot",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Whether the picture is at fault, and no second try makes it better. Else it is our disk.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Unreadable(_))
    }
}

impl From<io::Error> for Refused {
    /// An end where more was expected is the picture's fault; decoders also hand on what they did not like as an error of
    /// input, and only the system's own errors carry a number.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated
        } else if error.raw_os_error().is_some() {
            Self::Unreadable(error)
        } else {
            Self::Damaged("a decoder cannot read it")
        }
    }
}

/// What a file that is no picture looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksLike {
    /// No byte in it.
    Empty,
    /// A page.
    Html,
    /// A drawing in SVG, which can hold scripts.
    Svg,
    /// Other XML.
    Xml,
    /// An answer of an interface.
    Json,
    /// A ZIP, RAR, 7z or gzip archive.
    Archive,
    /// A PDF.
    Document,
    /// A program or a script.
    Program,
    /// Nothing that we know.
    Unknown,
}

impl std::fmt::Display for LooksLike {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "an empty file",
            Self::Html => "html",
            Self::Svg => "svg",
            Self::Xml => "xml",
            Self::Json => "json",
            Self::Archive => "an archive",
            Self::Document => "a document",
            Self::Program => "a program",
            Self::Unknown => "nothing known",
        })
    }
}
