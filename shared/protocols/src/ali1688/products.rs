//! Products as the seller lists and reads them, and the pictures that they name.
//!
//! Source: the classes that 1688's generator makes for its SDKs (`AlibabaProductListGetResult`, `AlibabaProductPageResult`,
//! `AlibabaProductProductInfo`, `AlibabaProductGetResult`); open.1688.com, `alibaba.product.get`,
//! `product.search.queryProductDetail` (`ProductDetailModel`, by public copies of its page). No answer of the vendor's own is published: what is not needed may be missing, and
//! both forms of a detail are read.
//!
//! Quirks that are met: ids that are numbers or texts, addresses of pictures that are relative, relative to the protocol or
//! absolute, thumbnails, the same picture for many variants.

use domain::{Position, ProductId, UnixMillis};
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error;
use crate::answers::{self, Reason, Scalar, compact_time, given, part, time};
use crate::json::{self, Object};
use crate::marketplace::picture::{self, NotAPicture};
use crate::marketplace::reading::{digits, page};
use crate::marketplace::{
    Answer, ListPage, Listed, Malformed, NotRead, Refused, Standing, ToldPicture, ToldProduct, listing_digest,
};

/// Pictures of one product that are kept. 1688 takes 5 to 10 main ones, a variant has one, and a long description a few
/// dozen; what is beyond is counted, and said in the log.
pub const PICTURES_MAX: usize = 200;
/// Where the picture on white ground stands, which is one more main one.
const WHITE: &str = "main-white";
/// What the message of a refusal says of a product that is not there: "product" … "does not exist". Source:
/// open.1688.com, `alibaba.product.get`.
const PRODUCT: &str = "\u{5546}\u{54c1}";
const IS_NOT_THERE: &str = "\u{4e0d}\u{5b58}\u{5728}";
/// The longest message that is looked at for that, in bytes: the vendor's have some ten characters.
const MESSAGE_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
struct ListAnswer<'a> {
    #[serde(borrow)]
    result: Object<ListResult<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListResult<'a> {
    success: Option<Scalar>,
    #[serde(borrow)]
    page_result: Option<Object<PageResult<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageResult<'a> {
    #[serde(borrow, default)]
    result_list: Option<Vec<&'a RawValue>>,
    total_records: Option<Scalar>,
}

/// The two forms of a detail, and of its refusal.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DetailAnswer<'a> {
    #[serde(borrow)]
    product_info: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    err_msg: Option<Scalar>,
    error_msg: Option<Scalar>,
    error_message: Option<Scalar>,
    message: Option<Scalar>,
}

/// What `queryProductDetail` has about its answer.
#[derive(Deserialize)]
struct Enclosed<'a> {
    success: Option<Scalar>,
    code: Option<Scalar>,
    message: Option<Scalar>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    #[serde(rename = "productID")]
    product_id: Option<Scalar>,
    offer_id: Option<Scalar>,
    status: Option<Scalar>,
    modify_time: Option<Scalar>,
    last_update_time: Option<Scalar>,
    description: Option<Scalar>,
    image: Option<Object<Images>>,
    product_image: Option<Object<Images>>,
    sku_infos: Option<Vec<Object<Sku>>>,
    product_sku_infos: Option<Vec<Object<Sku>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Images {
    images: Option<Vec<Option<Scalar>>>,
    white_image: Option<Scalar>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sku {
    sku_id: Option<Scalar>,
    spec_id: Option<Scalar>,
    sku_image_url: Option<Scalar>,
    attributes: Option<Vec<Object<Attribute>>>,
    sku_attributes: Option<Vec<Object<Attribute>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    sku_image_url: Option<Scalar>,
}

impl Product {
    fn id(&self) -> Result<ProductId, Reason> {
        let id = digits(self.product_id.as_ref()).or(digits(self.offer_id.as_ref())).ok_or("a product has no id")?;
        ProductId::new(id).map_err(|_| "productID is not the id of a product")
    }

    fn images(&self) -> impl Iterator<Item = &Images> {
        self.image.iter().chain(&self.product_image).map(|Object(images)| images)
    }

    fn skus(&self) -> impl Iterator<Item = &Sku> {
        self.sku_infos.iter().chain(&self.product_sku_infos).flatten().map(|Object(sku)| sku)
    }

    fn modified_at(&self) -> Result<Option<UnixMillis>, Reason> {
        let modified = self.modify_time.as_ref().filter(|text| !text.as_str().is_empty());
        time(modified.or(self.last_update_time.as_ref()), compact_time)
    }
}

impl Sku {
    /// Its picture: its own, or that of the first of its attributes that has one (its colour, as a rule).
    fn picture(&self) -> Option<&str> {
        let attributes = self.attributes.iter().chain(&self.sku_attributes).flatten();
        let of_attribute = attributes.filter_map(|Object(attribute)| given(attribute.sku_image_url.as_ref())).next();
        given(self.sku_image_url.as_ref()).or(of_attribute)
    }
}

/// Whether the vendor's words say that there is no such product.
fn says_that_it_is_gone(message: &str) -> bool {
    let is_short = message.len() <= MESSAGE_BYTES_MAX;
    is_short && message.trim_start().starts_with(PRODUCT) && message.contains(IS_NOT_THERE)
}

/// Reads a page of a list. A row that cannot be read is in the page as such, and harms no other.
pub fn read_list(text: &str) -> Result<Answer<ListPage<ProductId>>, NotRead> {
    if let Some(refused) = error::refusal(text) {
        return Err(NotRead::Refused(refused));
    }
    let unreadable = |error: serde_json::Error| NotRead::Unreadable(json::describe(&error));
    let Object(result) = json::object::<ListAnswer<'_>>(text).map_err(unreadable)?.result;
    if given(result.success.as_ref()) == Some("false") {
        return Err(NotRead::Refused(error::business(None)));
    }
    let Some(Object(PageResult { result_list, total_records })) = result.page_result else {
        return Err(NotRead::Unreadable("a list without a page".to_owned()));
    };
    page(total_records.as_ref(), &result_list.unwrap_or_default(), nobody, read_row)
}

/// Whose a product is says no field in a form that could be compared with a member id: it is of the token that asked.
/// `alibaba.product.get` and the list have the seller's own products alone, and `queryProductDetail` is asked for those
/// of others.
const fn nobody(_: &str) -> Option<String> {
    None
}

/// A row says when its product was modified, how it stands, and which pictures it has, as far as lists tell. Prices,
/// stock and sales are left out: they change all day, and change no picture.
fn read_row(text: &str) -> Result<Listed<ProductId>, Reason> {
    let product: Product = answers::object(text, "a row of the list is not a product")?;
    // One moment comes in more than one offset.
    let moments = [&product.modify_time, &product.last_update_time];
    let moments = moments.map(|moment| moment.as_ref().and_then(|text| compact_time(text.as_str())));
    let moments = moments.map(|moment| moment.map(UnixMillis::to_rfc3339).unwrap_or_default());
    let mains = product.images().flat_map(|images| {
        let mains = images.images.iter().flatten().map(|main| part(main.as_ref()));
        mains.chain([part(images.white_image.as_ref())])
    });
    let mut skus: Vec<[&str; 3]> = product.skus().map(Sku::digest_parts).collect();
    // In which order variants come is not documented, and says nothing.
    skus.sort_unstable();
    let parts = [part(product.status.as_ref())].into_iter().chain(moments.iter().map(String::as_str));
    let digest = listing_digest(parts.chain(mains).chain(["skus"]).chain(skus.into_iter().flatten()));
    let digest = digest.ok_or("a row has no digest")?;
    Ok(Listed { id: product.id()?, modified_at: product.modified_at()?, digest })
}

impl Sku {
    fn digest_parts(&self) -> [&str; 3] {
        [part(self.sku_id.as_ref()), part(self.spec_id.as_ref()), self.picture().unwrap_or_default()]
    }
}

/// Reads the detail of one product; `Err` in it when it is not of the documented form. A product that is not there is
/// one that is withdrawn: the vendor names it in the refusal, and nothing else of it.
pub fn read_detail(text: &str, asked: &ProductId) -> Result<Result<Answer<ToldProduct>, Malformed>, NotRead> {
    let unreadable = |error: serde_json::Error| NotRead::Unreadable(json::describe(&error));
    let answer: DetailAnswer<'_> = json::object(text).map_err(unreadable)?;
    let messages = [&answer.err_msg, &answer.error_msg, &answer.error_message, &answer.message];
    let is_gone = messages.into_iter().any(|message| given(message.as_ref()).is_some_and(says_that_it_is_gone));
    let enclosed = answer.result.and_then(|result| json::object::<Enclosed<'_>>(result.get()).ok());
    let is_gone = is_gone || enclosed.as_ref().is_some_and(Enclosed::is_gone);
    if is_gone && answer.product_info.is_none() {
        return Ok(Ok(Answer::new(ToldProduct::gone(asked.clone(), text), None)));
    }
    if let Some(refused) = error::refusal(text).or_else(|| enclosed.as_ref()?.refusal()) {
        return Err(NotRead::Refused(refused));
    }
    let product = answer.product_info.or(enclosed.and_then(|enclosed| enclosed.result));
    let product = product.ok_or_else(|| NotRead::Unreadable("a detail without a product".to_owned()))?;
    Ok(read_product(product.get()).map_err(|reason| answers::malformed(product.get(), reason)))
}

impl Enclosed<'_> {
    fn is_failure(&self) -> bool {
        given(self.success.as_ref()) == Some("false")
    }

    fn is_gone(&self) -> bool {
        self.result.is_none() && given(self.message.as_ref()).is_some_and(says_that_it_is_gone)
    }

    fn refusal(&self) -> Option<Refused> {
        self.is_failure().then(|| error::business(given(self.code.as_ref())))
    }
}

fn read_product(json: &str) -> Result<Answer<ToldProduct>, Reason> {
    let product: Product = answers::object(json, "the detail is not a product")?;
    let standing = given(product.status.as_ref()).map_or(Standing::OnSale, standing);
    let mut told = ToldProduct { standing, json: json.to_owned(), ..ToldProduct::gone(product.id()?, "") };
    if standing == Standing::Withdrawn {
        return Ok(Answer::new(told, None));
    }
    let mut pictures = Pictures::default();
    for images in product.images() {
        for (nth, main) in (1..).zip(images.images.iter().flatten()) {
            pictures.add(format!("main-{nth}"), part(main.as_ref()));
        }
        if let Some(white) = given(images.white_image.as_ref()) {
            pictures.add(WHITE.to_owned(), white);
        }
    }
    for sku in product.skus() {
        let name = digits(sku.sku_id.as_ref()).or(given(sku.spec_id.as_ref()));
        if let Some(address) = sku.picture() {
            pictures.add(format!("sku-{}", name.unwrap_or_default()), address);
        }
    }
    let description = given(product.description.as_ref()).unwrap_or_default();
    for (nth, address) in (1..).zip(images_of(description)) {
        pictures.add(format!("detail-{nth}"), &address);
    }
    (told.pictures, told.elsewhere, told.beyond) = (pictures.told, pictures.elsewhere, pictures.beyond);
    Ok(Answer::new(told, None))
}

/// How a product stands, by its status word. Source: `AlibabaProductProductInfo.status`.
fn standing(word: &str) -> Standing {
    match word {
        "published" | "modified" | "new" | "TBD" | "approved" | "auditing" | "untread" => Standing::OnSale,
        "member expired" | "auto expired" | "expired" | "member deleted" | "deleted" => Standing::Withdrawn,
        _ => Standing::Unrecognised,
    }
}

/// Pictures, as they are gathered.
#[derive(Default)]
struct Pictures {
    told: Vec<ToldPicture>,
    elsewhere: usize,
    beyond: usize,
}

impl Pictures {
    fn add(&mut self, position: String, text: &str) {
        let address = match picture::address(text) {
            Err(NotAPicture::Elsewhere) => {
                self.elsewhere += 1;
                return;
            }
            Err(NotAPicture::Malformed(reason)) => Err(answers::malformed(text, reason)),
            Ok(address) => Ok(address),
        };
        if self.told.len() >= PICTURES_MAX {
            self.beyond += 1;
            return;
        }
        let nameless = || Malformed { reason: "malformed: a variant has no id".to_owned(), body: text.to_owned() };
        let (position, address) = match Position::new(position) {
            Ok(position) if position.as_str() != "sku-" => (Some(position), address),
            Ok(_) | Err(_) => (None, Err(nameless())),
        };
        // Two variants of one id are one, and the first stands.
        if position.is_none() || self.told.iter().all(|told| told.position != position) {
            self.told.push(ToldPicture { position, address });
        }
    }
}

/// The addresses of the pictures in a page's text, in turn.
fn images_of(html: &str) -> Vec<String> {
    let mut emitter = DefaultEmitter::default();
    // What stands in a script or a style is no picture.
    emitter.naively_switch_states(true);
    let source = |StartTag { name, attributes, .. }: StartTag<()>| {
        let source = attributes.get(b"src".as_slice()).filter(|_| *name == *b"img")?;
        Some(String::from_utf8_lossy(source).into_owned())
    };
    let tags = Tokenizer::new_with_emitter(html, emitter).filter_map(|token| match token {
        Ok(Token::StartTag(tag)) => Some(tag),
        Ok(_) | Err(_) => None,
    });
    tags.filter_map(source).collect()
}
