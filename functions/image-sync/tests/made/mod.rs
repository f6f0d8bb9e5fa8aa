//! Pictures made by code, of every kind that a source may send, and files to keep them in.
#![allow(dead_code, unreachable_pub, reason = "two programs use it, each a part")]

use std::io::Write;

use adapters::spool::Content;
use image_sync::picture::{Refused, Thumbnail, inspect, thumbnails};
use jpeg_encoder::{ColorType, SamplingFactor};

/// A file that is removed when it is done with.
pub struct Spooled(Content);

impl Spooled {
    pub fn of(bytes: &[u8]) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Self(Content::File(file.into_temp_path()))
    }

    pub fn unwritten() -> Self {
        Self(Content::File(tempfile::TempPath::try_from_path("/nowhere/at/all").unwrap()))
    }

    pub fn content(&self) -> &Content {
        &self.0
    }
}

/// Looks the bytes through, and makes both thumbnails of them.
pub fn both(bytes: &[u8]) -> Result<Vec<Thumbnail>, Refused> {
    let file = Spooled::of(bytes);
    thumbnails(file.content(), &inspect(file.content())?, &[200, 800])
}

/// The word that a file is refused with, at the look through or at its decoding.
pub fn refusal(bytes: &[u8]) -> &'static str {
    both(bytes).map_or_else(|refused| refused.word(), |_| panic!("it is not refused"))
}

/// The reason with which a file is refused at the look through.
pub fn reason(bytes: &[u8]) -> String {
    inspect(Spooled::of(bytes).content()).unwrap_err().to_string()
}

/// Pixels of one kind, and how many channels they have.
#[derive(Clone)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    pub values: Vec<u8>,
}

impl Pixels {
    pub fn of<const N: usize>(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; N]) -> Self {
        let pixel = &pixel;
        let values = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        Self { width, height, channels: N, values }
    }

    /// One colour all over, made fast.
    pub fn plain(width: u32, height: u32, pixel: &[u8]) -> Self {
        let values = pixel.repeat(width as usize * height as usize);
        Self { width, height, channels: pixel.len(), values }
    }

    pub fn at(&self, x: u32, y: u32) -> &[u8] {
        let at = (y as usize * self.width as usize + x as usize) * self.channels;
        &self.values[at..at + self.channels]
    }
}

/// Four quarters of different colours: red, green / blue, white.
pub fn quarters(width: u32, height: u32) -> Pixels {
    Pixels::of(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => [220, 30, 30],
        (false, true) => [30, 180, 30],
        (true, false) => [30, 30, 220],
        (false, false) => [240, 240, 240],
    })
}

/// Like a photograph: soft light, round things with edges, a weave, and the noise of a sensor. The same for the same seed.
pub fn photograph(width: u32, height: u32, seed: u64) -> Pixels {
    let mut random = fastrand::Rng::with_seed(seed);
    let things: Vec<(f32, f32, f32, [f32; 3])> = (0..40)
        .map(|_| {
            let (x, y) = (random.f32() * width as f32, random.f32() * height as f32);
            let radius = (0.02 + 0.12 * random.f32()) * width as f32;
            (x, y, radius, [random.f32() * 255.0, random.f32() * 255.0, random.f32() * 255.0])
        })
        .collect();
    let mut values = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        // Only what reaches into this row.
        let near: Vec<_> = things.iter().filter(|thing| (thing.1 - y as f32).abs() < thing.2).collect();
        for x in 0..width {
            let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
            let mut colour = [90.0 + 120.0 * across, 110.0 + 80.0 * down, 200.0 - 120.0 * across * down];
            for (left, top, radius, of) in &near {
                let distance = ((left - x as f32).powi(2) + (top - y as f32).powi(2)).sqrt() / radius;
                if distance < 1.0 {
                    let shade = 1.0 - 0.6 * distance * distance;
                    colour = [of[0] * shade, of[1] * shade, of[2] * shade];
                }
            }
            let weave = 6.0 * ((x as f32 * 0.9).sin() * (y as f32 * 0.7).cos());
            for channel in colour {
                let noise = (random.f32() + random.f32() + random.f32() - 1.5) * 22.0;
                values.push((channel + weave + noise).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Pixels { width, height, channels: 3, values }
}

/// Every value by chance.
pub fn noise(width: u32, height: u32, channels: usize) -> Pixels {
    let mut random = fastrand::Rng::with_seed(7);
    let values = std::iter::repeat_with(|| random.u8(..)).take(width as usize * height as usize * channels).collect();
    Pixels { width, height, channels, values }
}

/// How a JPEG is written.
#[derive(Clone)]
pub struct Jpeg {
    pub quality: u8,
    pub progressive: bool,
    pub sampling: SamplingFactor,
    pub icc: Option<Vec<u8>>,
    pub exif: Option<Vec<u8>>,
    pub inks: Option<ColorType>,
}

impl Default for Jpeg {
    fn default() -> Self {
        Self { quality: 90, progressive: false, sampling: SamplingFactor::F_1_1, icc: None, exif: None, inks: None }
    }
}

impl Jpeg {
    pub fn of(&self, pixels: &Pixels) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, self.quality);
        encoder.set_progressive(self.progressive);
        encoder.set_sampling_factor(self.sampling);
        if let Some(icc) = &self.icc {
            encoder.add_icc_profile(icc).unwrap();
        }
        if let Some(exif) = &self.exif {
            encoder.add_exif_metadata(exif).unwrap();
        }
        let kind = match pixels.channels {
            1 => ColorType::Luma,
            3 => ColorType::Rgb,
            _ => self.inks.unwrap_or(ColorType::Cmyk),
        };
        let (width, height) = (u16::try_from(pixels.width).unwrap(), u16::try_from(pixels.height).unwrap());
        encoder.encode(&pixels.values, width, height, kind).unwrap();
        file
    }
}

pub fn jpeg(pixels: &Pixels) -> Vec<u8> {
    Jpeg::default().of(pixels)
}

/// EXIF that says which way up.
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend_from_slice(&orientation.to_be_bytes());
    exif.extend_from_slice(&[0; 6]);
    exif
}

/// A PNG's chunk.
pub fn png_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend_from_slice(name);
    chunk.extend_from_slice(content);
    let sum = crc32fast::hash(&chunk[4..]);
    chunk.extend_from_slice(&sum.to_be_bytes());
    chunk
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// So many zeros, compressed.
pub fn zlib_zeros(count: u64) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), count), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// How a PNG is written. Its samples are given as they are packed.
#[derive(Clone, Default)]
pub struct Png {
    pub width: u32,
    pub height: u32,
    pub depth: u8,
    pub colour: u8,
    pub interlaced: bool,
    /// Chunks before the pixels.
    pub chunks: Vec<u8>,
}

impl Png {
    pub fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend_from_slice(&self.width.to_be_bytes());
        header.extend_from_slice(&self.height.to_be_bytes());
        header.extend_from_slice(&[self.depth, self.colour, 0, 0, u8::from(self.interlaced)]);
        png_chunk(b"IHDR", &header)
    }

    /// With pixel data as they are given, compressed.
    pub fn with(&self, compressed: &[u8]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.extend_from_slice(&self.header());
        file.extend_from_slice(&self.chunks);
        for part in compressed.chunks(1 << 20) {
            file.extend_from_slice(&png_chunk(b"IDAT", part));
        }
        file.extend_from_slice(&png_chunk(b"IEND", b""));
        file
    }

    /// Of the bytes of all rows.
    pub fn of_rows(&self, row_bytes: usize, rows: &[u8]) -> Vec<u8> {
        let filtered: Vec<u8> = rows.chunks(row_bytes).flat_map(|row| [&[0], row].concat()).collect();
        self.with(&zlib(&filtered))
    }

    /// Of pixels of eight bits a channel.
    pub fn of(pixels: &Pixels, chunks: &[u8]) -> Vec<u8> {
        let png = Self::like(pixels, chunks);
        png.of_rows(pixels.width as usize * pixels.channels, &pixels.values)
    }

    pub fn like(pixels: &Pixels, chunks: &[u8]) -> Self {
        let colour = [0, 0, 4, 2, 6][pixels.channels];
        Self {
            width: pixels.width,
            height: pixels.height,
            depth: 8,
            colour,
            interlaced: false,
            chunks: chunks.to_vec(),
        }
    }

    /// The same picture in seven passes (Adam7).
    pub fn interlaced(pixels: &Pixels) -> Vec<u8> {
        let png = Self { interlaced: true, ..Self::like(pixels, &[]) };
        let mut filtered = Vec::new();
        for (x, y, across, down) in
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        {
            if x >= pixels.width {
                continue;
            }
            for y in (y..pixels.height).step_by(down) {
                filtered.push(0);
                (x..pixels.width).step_by(across).for_each(|x| filtered.extend_from_slice(pixels.at(x, y)));
            }
        }
        png.with(&zlib(&filtered))
    }
}

pub fn png(pixels: &Pixels) -> Vec<u8> {
    Png::of(pixels, &[])
}

/// A frame of a GIF: where it lies, its size, its palette's indices.
pub type GifFrame = (u16, u16, u16, u16, Vec<u8>);

/// A GIF of frames on a screen. The palette: red, green, blue, white; index 4 is transparent.
pub fn gif(width: u16, height: u16, frames: &[GifFrame]) -> Vec<u8> {
    let palette = [220, 30, 30, 30, 180, 30, 30, 30, 220, 240, 240, 240, 9, 9, 9];
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &palette).unwrap();
    for (left, top, width, height, indices) in frames {
        let frame = gif::Frame {
            left: *left,
            top: *top,
            width: *width,
            height: *height,
            buffer: indices.into(),
            transparent: indices.contains(&4).then_some(4),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// The quarters as indices of the palette of `gif`.
pub fn quarters_indices(width: u16, height: u16) -> Vec<u8> {
    let index = |x, y| u8::from(x >= width / 2) + 2 * u8::from(y >= height / 2);
    (0..height).flat_map(|y| (0..width).map(move |x| index(x, y))).collect()
}

/// A lossy WebP.
pub fn webp(pixels: &Pixels) -> Vec<u8> {
    let layout = if pixels.channels == 4 { webp::PixelLayout::Rgba } else { webp::PixelLayout::Rgb };
    let mut config = webp::WebPConfig::new().unwrap();
    (config.quality, config.method) = (90.0, 0);
    webp::Encoder::new(&pixels.values, layout, pixels.width, pixels.height).encode_advanced(&config).unwrap().to_vec()
}

/// A lossless WebP.
pub fn webp_lossless(pixels: &Pixels, icc: Option<Vec<u8>>, exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut file);
    icc.into_iter().for_each(|icc| encoder.set_icc_profile(icc));
    exif.into_iter().for_each(|exif| encoder.set_exif_metadata(exif));
    let kind = if pixels.channels == 4 { image_webp::ColorType::Rgba8 } else { image_webp::ColorType::Rgb8 };
    encoder.encode(&pixels.values, pixels.width, pixels.height, kind).unwrap();
    file
}

pub fn riff_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    chunk.extend_from_slice(content);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

pub fn riff(chunks: &[u8]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[b"WEBP", chunks].concat())
}

/// The extended header: the bits, and the canvas.
pub fn vp8x(bits: u8, width: u32, height: u32) -> Vec<u8> {
    let mut content = vec![bits, 0, 0, 0];
    content.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
    content.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
    riff_chunk(b"VP8X", &content)
}

/// What stands behind the extended header, or behind the RIFF header when there is none.
pub fn webp_chunks(file: &[u8]) -> &[u8] {
    if &file[12..16] == b"VP8X" { &file[30..] } else { &file[12..] }
}

/// A WebP that moves: frames, each where it lies.
pub fn webp_animated(width: u32, height: u32, frames: &[(u32, u32, Pixels)]) -> Vec<u8> {
    let mut chunks = vp8x(0x12, width, height);
    chunks.extend_from_slice(&riff_chunk(b"ANIM", &[0; 6]));
    for (left, top, pixels) in frames {
        let mut frame = Vec::new();
        for number in [left / 2, top / 2, pixels.width - 1, pixels.height - 1, 100] {
            frame.extend_from_slice(&number.to_le_bytes()[..3]);
        }
        frame.push(0);
        frame.extend_from_slice(webp_chunks(&webp(pixels)));
        chunks.extend_from_slice(&riff_chunk(b"ANMF", &frame));
    }
    riff(&chunks)
}

/// A thumbnail's pixels.
pub fn decoded(thumbnail: &Thumbnail) -> Pixels {
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&thumbnail.webp)).unwrap();
    assert_eq!(decoder.dimensions(), (thumbnail.width, thumbnail.height), "a thumbnail says its size");
    let mut values = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut values).unwrap();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    Pixels { width: thumbnail.width, height: thumbnail.height, channels, values }
}
