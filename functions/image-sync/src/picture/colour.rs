//! What the values of pixels mean, and the same colours in sRGB.
//!
//! A profile that is broken, or is for pixels of another kind, is ignored: the picture is then shown as if it had none,
//! which is what browsers do.

use moxcms::{ColorPrimaries, ColorProfile, DataColorSpace, Layout as Channels, ToneReprCurve, TransformOptions, XyY};

use super::Refused;
use super::raster::{Layout, Raster};

/// The largest profile that is parsed, in bytes: the press profiles of CMYK have 0.5 to 3 MB.
const PROFILE_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// What a file says of its colours.
pub(super) enum Colour {
    /// Nothing, or that they are sRGB.
    Srgb,
    /// An ICC profile.
    Icc(Vec<u8>),
    /// The power by which values become light, and the primaries with their white, where those are given (PNG).
    Power(f32, Option<(XyY, ColorPrimaries)>),
    /// Code points of ITU-T H.273 (PNG).
    CodePoints(moxcms::CicpProfile),
}

impl Colour {
    /// A profile, where the file has one.
    pub(super) fn of_icc(icc: Option<Vec<u8>>) -> Self {
        icc.map_or(Self::Srgb, Self::Icc)
    }

    /// The picture in sRGB: `Rgb`, or `Rgba` when it has alpha.
    pub(super) fn to_srgb(&self, raster: Raster) -> Result<Raster, Refused> {
        let profile = self.profile();
        let space = profile.as_ref().map(|profile| profile.color_space);
        let (raster, channels) = match (raster.layout(), space) {
            (Layout::Cmyk, Some(DataColorSpace::Cmyk)) => (raster, Channels::Rgba),
            (Layout::Cmyk, _) => return inks_alone(&raster),
            (Layout::Gray, Some(DataColorSpace::Gray)) => (raster, Channels::Gray),
            (Layout::GrayAlpha, Some(DataColorSpace::Gray)) => (raster, Channels::GrayAlpha),
            (Layout::Gray | Layout::Rgb, Some(DataColorSpace::Rgb)) => (spread(raster)?, Channels::Rgb),
            (Layout::GrayAlpha | Layout::Rgba, Some(DataColorSpace::Rgb)) => (spread(raster)?, Channels::Rgba),
            (Layout::Gray | Layout::GrayAlpha | Layout::Rgb | Layout::Rgba, _) => return spread(raster),
        };
        match profile.as_ref().and_then(|profile| converted(&raster, profile, channels)) {
            Some(converted) => converted,
            None if raster.layout() == Layout::Cmyk => inks_alone(&raster),
            None => spread(raster),
        }
    }

    fn profile(&self) -> Option<ColorProfile> {
        match self {
            Self::Srgb => None,
            Self::Icc(icc) if icc.len() > PROFILE_BYTES_MAX => None,
            Self::Icc(icc) => ColorProfile::new_from_slice(icc).ok(),
            Self::Power(power, primaries) => {
                let mut profile = ColorProfile::new_srgb();
                profile.cicp = None;
                if let Some((white, primaries)) = primaries {
                    profile.update_rgb_colorimetry(*white, *primaries);
                }
                let curve = Some(ToneReprCurve::Parametric(vec![*power]));
                (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
                Some(profile)
            }
            Self::CodePoints(points) => Some(ColorProfile::new_from_cicp(*points)),
        }
    }
}

/// The picture through its profile; none when the profile cannot be used.
fn converted(raster: &Raster, profile: &ColorProfile, channels: Channels) -> Option<Result<Raster, Refused>> {
    let (layout, to) = match raster.layout() {
        Layout::GrayAlpha | Layout::Rgba => (Layout::Rgba, Channels::Rgba),
        Layout::Gray | Layout::Rgb | Layout::Cmyk => (Layout::Rgb, Channels::Rgb),
    };
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(channels, &srgb, to, TransformOptions::default()).ok()?;
    let pixels = raster.pixels().len().checked_div(raster.layout().channels())?;
    let mut into = vec![0; pixels.checked_mul(layout.channels())?];
    transform.transform(raster.pixels(), &mut into).ok()?;
    Some(Raster::new(raster.width(), raster.height(), layout, into))
}

/// Grey as three equal values; colours as they are.
fn spread(raster: Raster) -> Result<Raster, Refused> {
    let (width, height) = (raster.width(), raster.height());
    let values = raster.pixels();
    match raster.layout() {
        Layout::Rgb | Layout::Rgba | Layout::Cmyk => Ok(raster),
        Layout::Gray => {
            let pixels = values.iter().flat_map(|value| [*value; 3]).collect();
            Raster::new(width, height, Layout::Rgb, pixels)
        }
        Layout::GrayAlpha => {
            let (pixels, _) = values.as_chunks::<2>();
            let pixels = pixels.iter().flat_map(|[value, alpha]| [*value, *value, *value, *alpha]).collect();
            Raster::new(width, height, Layout::Rgba, pixels)
        }
    }
}

/// Inks without a profile: each takes its share of the light, black takes its share of what is left.
fn inks_alone(raster: &Raster) -> Result<Raster, Refused> {
    let left = |ink: u8, black: u8| {
        let light = u16::from(u8::MAX - ink).saturating_mul(u16::from(u8::MAX - black));
        u8::try_from(light.saturating_add(127) / 255).unwrap_or(u8::MAX)
    };
    let (pixels, _) = raster.pixels().as_chunks::<4>();
    let pixels = pixels.iter().flat_map(|[c, m, y, k]| [left(*c, *k), left(*m, *k), left(*y, *k)]).collect();
    Raster::new(raster.width(), raster.height(), Layout::Rgb, pixels)
}
