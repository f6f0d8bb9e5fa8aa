//! Messages of the image queue: a picture of a product is wanted. CloudEvents 1.0 in JSON, as on the events queue.

use domain::{EventId, ImageKey, ImageRequest, ImageUrl, Position, ProductId, ProductKey, ShopId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cloudevents::{
    Envelope, Head, JSON, NotAnEvent, NotWritten, SPEC_VERSION, marketplace_named, parse, shop_source, time,
};
use crate::json::NumberOrText;

/// A picture is wanted.
pub const IMAGE_REQUESTED: &str = "sampan.image.requested.v1";

/// Which picture, and where it is. A position may come as a number too.
#[derive(Serialize, Deserialize)]
struct RequestData<P> {
    marketplace: String,
    shop: ShopId,
    product_id: ProductId,
    position: P,
    url: ImageUrl,
    #[serde(default, skip_serializing_if = "is_false")]
    refetch: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference on")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The id of a request: the same for the same picture at the same place at the same time.
fn request_id(request: &ImageRequest) -> Result<EventId, NotAnEvent> {
    let ImageRequest { image, url, asked_at, refetch } = request;
    let digest = Sha256::digest(format!("{image}#{}#{refetch}#{url}", asked_at.get()));
    let hex = hex::encode(digest);
    Ok(EventId::new(format!("image.{}", hex.get(..32).unwrap_or_default()))?)
}

/// Writes a request as a queue message. One that would not read back as it is has none.
pub fn write(request: &ImageRequest) -> Result<String, NotWritten> {
    let ProductKey { marketplace, shop, product_id } = request.image.product.clone();
    let envelope = Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: request_id(request).map_err(|_| NotWritten::Nothing)?,
        source: shop_source(marketplace, &shop),
        kind: IMAGE_REQUESTED.to_owned(),
        subject: Some(product_id.to_string()),
        time: request.asked_at.to_rfc3339(),
        datacontenttype: Some(JSON.to_owned()),
        data: RequestData {
            marketplace: marketplace.as_str().to_owned(),
            shop,
            product_id,
            position: request.image.position.as_str(),
            url: request.url.clone(),
            refetch: request.refetch,
        },
    };
    let message = serde_json::to_string(&envelope)?;
    let reads_back = read(&message).is_ok_and(|read| read == *request);
    reads_back.then_some(message).ok_or(NotWritten::Lossy)
}

/// Reads a message of the image queue.
pub fn read(message: &str) -> Result<ImageRequest, NotAnEvent> {
    let head: Head = parse(message)?;
    if (head.specversion.as_str(), head.kind.as_str()) != (SPEC_VERSION, IMAGE_REQUESTED) {
        return Err(NotAnEvent::UnknownType);
    }
    let envelope: Envelope<RequestData<NumberOrText>> = parse(message)?;
    let asked_at = time(&envelope.time)?;
    let RequestData { marketplace, shop, product_id, position, url, refetch } = envelope.data;
    let product = ProductKey { marketplace: marketplace_named(&marketplace)?, shop, product_id };
    Ok(ImageRequest { image: ImageKey { product, position: Position::new(position.0)? }, url, asked_at, refetch })
}

#[cfg(test)]
mod tests {
    use domain::UnixMillis;

    use super::*;

    fn request() -> ImageRequest {
        let product = "1688#demo#548818919805".parse().unwrap();
        ImageRequest {
            image: ImageKey { product, position: Position::new("main-1").unwrap() },
            url: ImageUrl::new("https://cbu01.alicdn.com/img/ibank/O1CN01pEsVS41Bs2uny9oka_!!0-0-cib.jpg").unwrap(),
            asked_at: UnixMillis::new(1_586_227_869_437).unwrap(),
            refetch: false,
        }
    }

    #[test]
    fn a_request_reads_back_and_the_same_has_the_same_id() {
        for request in [request(), ImageRequest { refetch: true, ..request() }] {
            let message = write(&request).unwrap();
            assert_eq!(read(&message).unwrap(), request);
            assert_eq!(message, write(&request).unwrap());
        }
        assert_ne!(request_id(&request()), request_id(&ImageRequest { refetch: true, ..request() }));
    }

    #[test]
    fn the_message_has_the_contract_s_fields() {
        let message: serde_json::Value = serde_json::from_str(&write(&request()).unwrap()).unwrap();
        assert_eq!(message["type"], "sampan.image.requested.v1");
        assert_eq!(
            message["data"],
            serde_json::json!({"marketplace": "1688", "shop": "demo", "product_id": "548818919805",
                "position": "main-1",
                "url": "https://cbu01.alicdn.com/img/ibank/O1CN01pEsVS41Bs2uny9oka_!!0-0-cib.jpg"})
        );
    }

    #[test]
    fn what_is_no_request_says_why() {
        let message = write(&request()).unwrap();
        for (from, to, reason) in [
            (
                "sampan.image.requested.v1",
                "sampan.image.requested.v2",
                "unknown_type: not an event type of this version",
            ),
            (r#""position":"main-1""#, r#""position":"a#b""#, "invalid: position has a character that is not allowed"),
            (r#""marketplace":"1688""#, r#""marketplace":"ebay""#, "invalid: marketplace is not known"),
        ] {
            assert_eq!(read(&message.replace(from, to)).unwrap_err().to_string(), reason, "{to}");
        }
        let number = message.replace(r#""position":"main-1""#, r#""position":3"#);
        assert_eq!(read(&number).unwrap().image.position.as_str(), "3");
        let malformed = read(&message.replace("https:", r"\u0000")).unwrap_err().to_string();
        assert!(malformed.starts_with("malformed: "), "{malformed}");
    }
}
