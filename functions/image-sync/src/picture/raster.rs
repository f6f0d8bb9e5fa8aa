//! Pixels in memory: one byte a channel, row by row, nothing between the rows.
//!
//! Invariant: there are exactly width x height x channels bytes. Every constructor sees to it.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4};
use fast_image_resize::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Refused;

const UNFIT: Refused = Refused::Damaged("it cannot be resized");

/// What the bytes of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// 255 is full ink.
    Cmyk,
}

impl Layout {
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// Pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raster {
    width: u32,
    height: u32,
    layout: Layout,
    pixels: Vec<u8>,
}

impl Raster {
    /// Pixels that must be as many as the size says.
    pub(super) fn new(width: u32, height: u32, layout: Layout, pixels: Vec<u8>) -> Result<Self, Refused> {
        if width == 0 || height == 0 || Some(pixels.len()) != bytes_of(width, height, layout) {
            return Err(Refused::Damaged("it decodes to another size than it claims"));
        }
        Ok(Self { width, height, layout, pixels })
    }

    pub(super) const fn width(&self) -> u32 {
        self.width
    }

    pub(super) const fn height(&self) -> u32 {
        self.height
    }

    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The same pixels with each value taken from its opposite: full ink for none.
    pub(super) fn inverted(mut self) -> Self {
        self.pixels.iter_mut().for_each(|value| *value = u8::MAX - *value);
        self
    }

    /// With colours multiplied by their alpha, in place, so that the colour of what cannot be seen does not bleed into
    /// what can when pixels are mixed.
    pub(super) fn premultiplied(mut self) -> Result<Self, Refused> {
        let (by, width, height) = (MulDiv::new(), self.width, self.height);
        match self.layout {
            Layout::Gray | Layout::Rgb | Layout::Cmyk => Ok(()),
            Layout::GrayAlpha => by.multiply_alpha_inplace_typed(&mut view::<U8x2>(width, height, &mut self.pixels)?),
            Layout::Rgba => by.multiply_alpha_inplace_typed(&mut view::<U8x4>(width, height, &mut self.pixels)?),
        }
        .map_err(|_| UNFIT)?;
        Ok(self)
    }

    /// With colours as they are, of premultiplied ones.
    pub(super) fn unpremultiplied(mut self) -> Result<Self, Refused> {
        let (by, width, height) = (MulDiv::new(), self.width, self.height);
        match self.layout {
            Layout::Gray | Layout::Rgb | Layout::Cmyk => Ok(()),
            Layout::GrayAlpha => by.divide_alpha_inplace_typed(&mut view::<U8x2>(width, height, &mut self.pixels)?),
            Layout::Rgba => by.divide_alpha_inplace_typed(&mut view::<U8x4>(width, height, &mut self.pixels)?),
        }
        .map_err(|_| UNFIT)?;
        Ok(self)
    }

    /// In another size. Alpha is a channel like the others here: the colours are premultiplied.
    pub(super) fn resized(&self, width: u32, height: u32) -> Result<Self, Refused> {
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let pixels = match self.layout {
            Layout::Gray => self.convolved::<U8>(width, height)?,
            Layout::GrayAlpha => self.convolved::<U8x2>(width, height)?,
            Layout::Rgb => self.convolved::<U8x3>(width, height)?,
            Layout::Rgba | Layout::Cmyk => self.convolved::<U8x4>(width, height)?,
        };
        Self::new(width, height, self.layout, pixels)
    }

    fn convolved<P: PixelTrait>(&self, width: u32, height: u32) -> Result<Vec<u8>, Refused> {
        let Ok(from) = TypedImageRef::<P>::from_buffer(self.width, self.height, &self.pixels) else {
            return Err(UNFIT);
        };
        let mut pixels = vec![0; bytes_of(width, height, self.layout).unwrap_or_default()];
        let mut to = view::<P>(width, height, &mut pixels)?;
        // Lanczos keeps edges and print sharp when a picture gets smaller, which it always does here.
        let how = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
        Resizer::new().resize_typed(&from, &mut to, &how).map_err(|_| UNFIT)?;
        Ok(pixels)
    }

    /// With rows for columns.
    pub(super) fn transposed(self) -> Self {
        let channels = self.layout.channels();
        let rows = self.pixels.chunks_exact(self.row_bytes());
        let columns = 0..usize::try_from(self.width).unwrap_or(usize::MAX);
        let column =
            |at: usize| rows.clone().flat_map(move |row| row.chunks_exact(channels).nth(at).unwrap_or_default());
        let pixels = columns.flat_map(column).copied().collect();
        Self { width: self.height, height: self.width, layout: self.layout, pixels }
    }

    /// Left for right.
    pub(super) fn mirrored(self) -> Self {
        let rows = self.pixels.chunks_exact(self.row_bytes());
        let mirror = |row| <[u8]>::chunks_exact(row, self.layout.channels()).rev().flatten();
        let pixels = rows.flat_map(mirror).copied().collect();
        Self { pixels, ..self }
    }

    /// Top for bottom.
    pub(super) fn flipped(self) -> Self {
        let pixels = self.pixels.chunks_exact(self.row_bytes()).rev().flatten().copied().collect();
        Self { pixels, ..self }
    }

    fn row_bytes(&self) -> usize {
        usize::try_from(self.width).unwrap_or(usize::MAX).saturating_mul(self.layout.channels()).max(1)
    }
}

/// Bytes as pixels of a kind.
fn view<P: PixelTrait>(width: u32, height: u32, pixels: &mut [u8]) -> Result<TypedImage<'_, P>, Refused> {
    TypedImage::from_buffer(width, height, pixels).map_err(|_| UNFIT)
}

/// How many bytes so many pixels are.
pub(super) fn bytes_of(width: u32, height: u32, layout: Layout) -> Option<usize> {
    let pixels = usize::try_from(width).ok()?.checked_mul(usize::try_from(height).ok()?)?;
    pixels.checked_mul(layout.channels())
}
