//! Addresses of a product's pictures, in all the forms that marketplaces write them, as one: absolute, whole, of a size
//! that is kept.
//!
//! Invariant: what comes out names the host that a browser on the marketplace's page would ask, and comes out as it is
//! when it is put in again.

use domain::ImageUrl;
use url::Url;

/// What relative addresses are relative to, and what a page of theirs is read by. Source: open.1688.com,
/// `alibaba.product.get`: paths below the picture server.
pub const PICTURE_BASE: &str = "https://cbu01.alicdn.com/";
/// What names of pictures end with.
const EXTENSIONS: [&str; 7] = [".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".avif"];
/// Words that stand for a size behind a whole name, such as `.jpg_b.jpg`; an empty one is of another form (`_.webp`).
const SIZE_WORDS: [&str; 7] = ["", "b", "m", "s", "sum", "thumb", "search"];

/// What an address is, when it is none of a picture that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAPicture {
    /// It is of something that cannot be fetched: nothing, a picture within the page (`data:`), another scheme.
    Elsewhere,
    /// It is none that can be read; why, without a word of it.
    Malformed(&'static str),
}

/// The address of a whole picture, from any of its forms.
pub fn address(text: &str) -> Result<ImageUrl, NotAPicture> {
    let text = text.trim_matches(|char: char| char.is_whitespace() || char.is_control());
    if text.is_empty() || text.starts_with('#') {
        return Err(NotAPicture::Elsewhere);
    }
    let malformed = NotAPicture::Malformed("a picture's address is no URL");
    let base = Url::parse(PICTURE_BASE).map_err(|_| malformed)?;
    let mut url = base.join(text).map_err(|_| malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NotAPicture::Elsewhere);
    }
    url.set_fragment(None);
    let path = whole(url.path());
    url.set_path(&path);
    ImageUrl::new(String::from(url)).map_err(|_| NotAPicture::Malformed("a picture's address is longer than any is"))
}

/// The path of the whole picture, of a thumbnail's.
fn whole(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut name = name.to_owned();
    while let Some(shorter) = without_size_behind(&name).or_else(|| without_size_before(&name)) {
        name = shorter;
    }
    format!("{folder}/{name}")
}

/// The name and the extension, with its dot, of what is named like a picture.
fn split_extension(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.split_at_checked(name.rfind('.')?)?;
    let is_known = EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    (is_known && !stem.is_empty()).then_some((stem, extension))
}

/// `1.80x80.jpg` is of `1.jpg`.
fn without_size_before(name: &str) -> Option<String> {
    let (stem, extension) = split_extension(name)?;
    let (whole, size) = stem.rsplit_once('.')?;
    (is_size(size) && !whole.is_empty()).then(|| format!("{whole}{extension}"))
}

/// `1.jpg_60x60.jpg`, `1.jpg_430x430q90.jpg`, `1.jpg_b.jpg` and `1.jpg_.webp` are of `1.jpg`. What has no extension
/// before the size is a name like any other.
fn without_size_behind(name: &str) -> Option<String> {
    let (stem, _) = split_extension(name)?;
    let (whole, size) = stem.rsplit_once('_')?;
    split_extension(whole)?;
    let numbers = size.find(|char: char| !char.is_ascii_digit() && char != 'x').unwrap_or(size.len());
    let (numbers, rest) = size.split_at_checked(numbers)?;
    let is_quality = rest.len() <= 8 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let is_sized = is_size(numbers) && is_quality;
    let is_worded = SIZE_WORDS.contains(&size) || size.strip_prefix('q').is_some_and(is_number);
    (is_sized || is_worded).then(|| whole.to_owned())
}

fn is_number(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `80x80`.
fn is_size(text: &str) -> bool {
    text.split_once('x').is_some_and(|(width, height)| is_number(width) && is_number(height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<String, NotAPicture> {
        address(text).map(String::from)
    }

    #[test]
    fn every_form_of_an_address_is_an_absolute_one() {
        const WHOLE: &str = "https://cbu01.alicdn.com/img/ibank/2014/766/624/1652426667_642119312.jpg";
        for form in [
            "img/ibank/2014/766/624/1652426667_642119312.jpg",
            "/img/ibank/2014/766/624/1652426667_642119312.jpg",
            "//cbu01.alicdn.com/img/ibank/2014/766/624/1652426667_642119312.jpg",
            " \n https://cbu01.alicdn.com/img/ibank/2014/766/624/1652426667_642119312.jpg\t",
            "HTTPS://CBU01.alicdn.com/img/ibank/2014/766/624/1652426667_642119312.jpg#top",
            "img/ibank/2014/766/624/1652426667_642119312.80x80.jpg",
            "img/ibank/2014/766/624/1652426667_642119312.220x220.jpg",
            "img/ibank/2014/766/624/1652426667_642119312.jpg_60x60.jpg",
            "img/ibank/2014/766/624/1652426667_642119312.jpg_b.jpg",
            "img/ibank/2014/766/624/1652426667_642119312.jpg_430x430q90.jpg_.webp",
            "img/ibank/2014/766/624/1652426667_642119312.80x80.jpg_sum.jpg",
        ] {
            assert_eq!(of(form).as_deref(), Ok(WHOLE), "{form}");
        }
        let http = "http://cbu01.alicdn.com/img/ibank/2017/757/125/3950521757";
        assert_eq!(of(&format!("{http}.80x80.jpg")), Ok(format!("{http}.jpg")));
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in [
            "O1CN01pEsVS41Bs2uny9oka_!!0-0-cib.jpg",
            "banner_800x600.jpg",
            "80x80.jpg",
            ".80x80.jpg",
            "a.80x80x80.jpg",
            "a.x80.jpg",
            "a.12345x12345.jpg",
            "a.jpg_final.jpg",
            "a_b.jpg",
            "a.tar.gz",
            "a.80x80",
            "a.jpg_60x60/b.jpg",
            "a.jpg?b=1.80x80.jpg",
        ] {
            assert_eq!(of(name), Ok(format!("{PICTURE_BASE}{name}")), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_elsewhere_and_what_is_no_address_is_malformed() {
        for text in [
            "",
            "  \n",
            "#",
            "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
            "javascript:alert(1)",
            "ftp://a/b.jpg",
            "file:///etc/passwd",
            "blob:https://a/1",
        ] {
            assert_eq!(of(text), Err(NotAPicture::Elsewhere), "{text}");
        }
        let long = format!("img/{}.jpg", "a".repeat(ImageUrl::BYTES_MAX));
        for text in ["https://", "http://[1/a.jpg", "https://a b/c.jpg", "//", long.as_str()] {
            assert!(matches!(of(text), Err(NotAPicture::Malformed(_))), "{text}: {:?}", of(text));
        }
    }

    proptest! {
        #[test]
        fn an_address_that_was_read_is_read_as_it_is_and_names_the_host_that_a_browser_would_ask(
            text in prop_oneof![
                any::<String>(),
                "(https?:)?[/\\\\]{0,3}[a-z0-9.@:-]{0,12}(/[a-zA-Z0-9_.!%-]{0,12}){0,3}(\\.[0-9]{1,4}x[0-9]{1,4}){0,2}\\.(jpg|png|JPG)(_[a-z0-9]{0,5}\\.(jpg|webp)){0,3}",
            ],
        ) {
            if let Ok(read) = address(&text) {
                let url = Url::parse(read.as_str()).unwrap();
                prop_assert!(matches!(url.scheme(), "http" | "https"));
                prop_assert!(url.host_str().is_some());
                prop_assert_eq!(address(read.as_str()), Ok(read));
                let trimmed = text.trim_matches(|char: char| char.is_whitespace() || char.is_control());
                let browsed = Url::parse(PICTURE_BASE).unwrap().join(trimmed).unwrap();
                prop_assert_eq!((url.host_str(), url.port_or_known_default()), (browsed.host_str(), browsed.port_or_known_default()));
            }
        }
    }
}
