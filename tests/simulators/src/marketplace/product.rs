//! One product as it is: its pictures, where they are, and in which of the vendor's forms their addresses are written.
//!
//! Written from the vendor's samples, apart from the reader in `protocols`: the form of an address follows from the
//! picture's number, and so does the address that a careful reader makes of it.

use std::collections::BTreeMap;

use domain::{Position, ProductId, UnixMillis};
use fastrand::Rng;
use protocols::marketplace::{Standing, ToldPicture, ToldProduct};
use sha2::{Digest, Sha256};

/// Where pictures are unless something else was said.
pub const PICTURE_HOST: &str = "https://cbu01.alicdn.com";

/// How a product stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// For sale.
    OnSale,
    /// Its time is over.
    Expired,
    /// Its seller took it away, and it is still listed.
    TakenAway,
    /// Under a word that nobody knows.
    Odd,
}

impl Shelf {
    /// The vendor's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OnSale => "published",
            Self::Expired => "auto expired",
            Self::TakenAway => "member deleted",
            Self::Odd => "something new",
        }
    }

    const fn standing(self) -> Standing {
        match self {
            Self::OnSale => Standing::OnSale,
            Self::Expired | Self::TakenAway => Standing::Withdrawn,
            Self::Odd => Standing::Unrecognised,
        }
    }
}

/// A variant of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Its number.
    pub id: u64,
    /// Its picture, when it has one of its own.
    pub picture: Option<u32>,
}

/// A product as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number, of 12 digits.
    pub id: u64,
    /// When it was last modified, by the marketplace's word.
    pub modified: UnixMillis,
    /// How it stands.
    pub shelf: Shelf,
    /// Its main pictures, by their numbers.
    pub mains: Vec<u32>,
    /// The one on white ground.
    pub white: Option<u32>,
    /// Those of its description.
    pub details: Vec<u32>,
    /// Its variants.
    pub variants: Vec<Variant>,
}

/// A picture's path, below the host.
fn path(picture: u32) -> String {
    // Some addresses have a query, with what HTML writes as an entity.
    let query = if picture.is_multiple_of(5) { "?a=1&b=2" } else { "" };
    format!("img/ibank/2026/{}/{picture}.jpg{query}", picture % 997)
}

/// The address of a picture, as a careful reader has it.
pub fn address(host: &str, picture: u32) -> String {
    let host = if host == PICTURE_HOST && picture % 8 == 2 { "http://cbu01.alicdn.com" } else { host };
    format!("{host}/{}", path(picture))
}

/// The address of a picture in one of the vendor's forms: relative, relative to the protocol, absolute, of a thumbnail.
/// Of another host than the vendor's all are absolute.
pub(super) fn written(host: &str, picture: u32) -> String {
    let path = path(picture);
    let sized = |size: &str| path.replace(".jpg", size);
    let at_host = |path: &str| format!("{host}/{path}");
    match (picture % 8, host == PICTURE_HOST) {
        (0, true) => path,
        (1, true) => format!("//cbu01.alicdn.com/{path}"),
        (2, _) => address(host, picture),
        (4, true) => sized(".80x80.jpg"),
        (6, true) => format!("/{path}"),
        (4, false) => at_host(&sized(".80x80.jpg")),
        (5, _) => at_host(&sized(".jpg_60x60.jpg")),
        (7, _) => at_host(&sized(".220x220.jpg")),
        (_, _) => at_host(&path),
    }
}

impl Product {
    /// A new one.
    pub(super) fn new(id: u64, modified: UnixMillis, random: &mut Rng) -> Self {
        let variants = random.u64(0..=3);
        let variant = |nth: u64, random: &mut Rng| Variant {
            id: id * 10 + nth,
            picture: (random.u8(0..4) > 0).then(|| random.u32(1..)),
        };
        let mut product = Self {
            id,
            modified,
            shelf: Shelf::OnSale,
            mains: (0..random.usize(1..=4)).map(|_| random.u32(1..)).collect(),
            white: (random.u8(0..4) == 0).then(|| random.u32(1..)),
            details: (0..random.usize(0..=3)).map(|_| random.u32(1..)).collect(),
            variants: Vec::with_capacity(3),
        };
        for nth in 0..variants {
            let variant = variant(nth, random);
            product.variants.push(variant);
        }
        // The first main picture comes twice at some.
        if random.u8(0..8) == 0 {
            product.mains.extend(product.mains.first().copied());
        }
        product
    }

    /// Lets something change: a picture is another one, one more or one less, or the product stands otherwise.
    pub(super) fn live(&mut self, random: &mut Rng) {
        if self.shelf != Shelf::OnSale {
            self.shelf = Shelf::OnSale;
            return;
        }
        let picture = random.u32(1..);
        match random.u8(0..16) {
            0..4 => {
                let nth = random.usize(0..self.mains.len().max(1));
                if let Some(main) = self.mains.get_mut(nth) {
                    *main = picture;
                }
            }
            4..6 if self.mains.len() < 9 => self.mains.push(picture),
            6..8 if self.mains.len() > 1 => drop(self.mains.pop()),
            8..10 => self.white = if self.white.is_some() { None } else { Some(picture) },
            10..12 if self.details.is_empty() => self.details.push(picture),
            10..12 => drop(self.details.remove(0)),
            12 if !self.variants.is_empty() => drop(self.variants.pop()),
            13 => self.shelf = if picture.is_multiple_of(2) { Shelf::Expired } else { Shelf::TakenAway },
            14 if picture.is_multiple_of(4) => self.shelf = Shelf::Odd,
            _ => match self.variants.first_mut() {
                Some(variant) => variant.picture = Some(picture),
                None => self.variants.push(Variant { id: self.id * 10, picture: Some(picture) }),
            },
        }
    }

    /// A digest of all that it says. Whatever changes, changes it.
    pub fn digest(&self) -> String {
        let Self { id, modified, shelf, mains, white, details, variants } = self;
        let text = format!("{id} {} {shelf:?} {mains:?} {white:?} {details:?} {variants:?}", modified.get());
        hex::encode(Sha256::digest(text)).chars().take(32).collect()
    }

    /// Every picture that it has, by position: where it is. None when it is not for sale any more.
    pub fn pictures(&self, host: &str) -> BTreeMap<String, String> {
        let at = |(position, picture)| (position, address(host, picture));
        if self.shelf.standing() == Standing::Withdrawn { BTreeMap::new() } else { self.numbers().map(at).collect() }
    }

    /// Its pictures by position.
    fn numbers(&self) -> impl Iterator<Item = (String, u32)> + '_ {
        let numbered = |name: &'static str, pictures: &'_ [u32]| {
            let nth = |(nth, picture): (usize, &u32)| (format!("{name}-{}", nth + 1), *picture);
            pictures.iter().enumerate().map(nth).collect::<Vec<_>>()
        };
        let white = self.white.map(|picture| ("main-white".to_owned(), picture));
        let variants =
            self.variants.iter().filter_map(|variant| Some((format!("sku-{}", variant.id), variant.picture?)));
        numbered("main", &self.mains).into_iter().chain(white).chain(variants).chain(numbered("detail", &self.details))
    }

    /// The product in the common words, as a reader that understood everything the marketplace tells would have it.
    pub fn told(&self, host: &str) -> ToldProduct {
        let standing = self.shelf.standing();
        let picture = |(position, picture)| ToldPicture {
            position: Position::new(position).ok(),
            address: Ok(domain::ImageUrl::new(address(host, picture)).expect("a short address")),
        };
        let pictures = if standing == Standing::Withdrawn { Vec::new() } else { self.numbers().map(picture).collect() };
        ToldProduct {
            product_id: product_id(self.id),
            standing,
            pictures,
            elsewhere: 0,
            beyond: 0,
            json: String::new(),
        }
    }
}

pub(super) fn product_id(id: u64) -> ProductId {
    ProductId::new(id.to_string()).expect("a number of at most 20 digits")
}
