//! 1688's products as their seller's app meets them. Source: the classes of the vendor's SDK generator
//! (`AlibabaProductListGetParam`, `AlibabaProductPageResult`, `AlibabaProductProductInfo`); open.1688.com,
//! `alibaba.product.get`; and products of others as their buyer's app does: `product.search.queryProductDetail`.

use domain::UnixMillis;
use protocols::marketplace::Role;
use serde_json::{Value, json};
use time::UtcOffset;

use super::super::product::{Product, written};
use super::ali1688::{business, gateway, number, window};
use super::wire::{CALIFORNIA, CHINA, Parameters, compact};
use super::{Hub, Said, Shop};

/// The names of the calls.
pub(super) const LIST: &str = "com.alibaba.product/alibaba.product.list.get";
pub(super) const DETAIL: &str = "com.alibaba.product/alibaba.product.get";
pub(super) const OFFER: &str = "com.alibaba.fenxiao.crossborder/product.search.queryProductDetail";
/// Rows of a page at most: more counts as so many.
const PAGE_ROWS_MAX: u64 = 20;

/// A page of the list.
pub(super) fn list(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Said {
    match try_list(hub, shop, parameters) {
        Ok(said) | Err(said) => said,
    }
}

fn try_list(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Result<Said, Said> {
    // What is not simulated must not be passed over in silence.
    for filter in ["statusList", "categoryId", "subjectKey", "productIds", "startPublishTime", "startExpiredTime"] {
        if parameters.get(filter).is_some_and(|value| !value.is_empty()) {
            return Err(business("NOT_SIMULATED", filter));
        }
    }
    let order = ["orderByCondition", "orderByType"].map(|key| parameters.get(key).map(String::as_str));
    if order != [Some("MODIFY_DATE"), Some("DESC")] {
        return Err(business("NOT_SIMULATED", "another order than the latest modified first"));
    }
    let modified = window(parameters, "startModifyTime", "endModifyTime")?;
    let window = modified.unwrap_or((UnixMillis::EPOCH, UnixMillis::MAX));
    let page = number(parameters, "pageNo", 1, u64::MAX)?;
    let page_rows = number(parameters, "pageSize", PAGE_ROWS_MAX, u64::MAX)?.min(PAGE_ROWS_MAX);
    let mut assortment = shop.assortment();
    let page = assortment.page(window, page, page_rows);
    let host = assortment.picture_host().to_owned();
    let products = page.ids.iter().filter_map(|id| assortment.product(*id));
    let rows: Vec<Value> = products.map(|product| Writer::new(hub, product, &host).row()).collect();
    let result = json!({"sizePerPage": page_rows, "totalRecords": page.total, "resultList": rows});
    Ok(Said::json(200, &json!({"result": {"pageResult": result}})))
}

/// One product of the shop's own.
pub(super) fn detail(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Said {
    let Some(id) = parameters.get("productID") else {
        return gateway(400, "gw.ParamMissing", "productID");
    };
    if parameters.get("webSite").map(String::as_str) != Some("1688") {
        return gateway(400, "gw.ParamMissing", "webSite");
    }
    let assortment = shop.assortment();
    let Some(product) = id.parse().ok().and_then(|id| assortment.product_for(Role::Seller, id)) else {
        // "product [..] does not exist", in the forms that implementers met.
        let message = format!("\u{5546}\u{54c1}[{id}]\u{4e0d}\u{5b58}\u{5728}");
        return if id.ends_with(['0', '2', '4', '6', '8']) {
            Said::json(200, &json!({"errMsg": message}))
        } else {
            business("PRODUCT_NOT_EXIST", &message)
        };
    };
    let info = Writer::new(hub, product, assortment.picture_host()).info();
    Said::json(200, &json!({"productInfo": info, "success": true}))
}

/// One product of another's.
pub(super) fn offer(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Said {
    let wanted = parameters.get("offerDetailParam").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(wanted) = wanted.filter(|wanted| wanted.get("country").is_some_and(Value::is_string)) else {
        return gateway(400, "gw.ParamMissing", "offerDetailParam");
    };
    let Some(id) = wanted.get("offerId").and_then(Value::as_u64) else {
        return gateway(400, "gw.ParamInvalid", "offerId");
    };
    let assortment = shop.assortment();
    let Some(product) = assortment.product_for(Role::Buyer, id) else {
        let message = format!("\u{5546}\u{54c1}[{id}]\u{4e0d}\u{5b58}\u{5728}");
        return Said::json(200, &json!({"result": {"success": false, "code": "500", "message": message}}));
    };
    let offer = Writer::new(hub, product, assortment.picture_host()).offer();
    Said::json(200, &json!({"result": {"success": true, "code": "200", "message": "", "result": offer}}))
}

/// Writes one product.
struct Writer<'a> {
    product: &'a Product,
    host: &'a str,
    offset: UtcOffset,
}

impl<'a> Writer<'a> {
    fn new(hub: &Hub, product: &'a Product, host: &'a str) -> Self {
        let offset = if hub.chance(8) { CALIFORNIA } else { CHINA };
        Self { product, host, offset }
    }

    fn picture(&self, picture: u32) -> String {
        written(self.host, picture)
    }

    /// As the list has it: without a description.
    fn row(&self) -> Value {
        let Product { id, modified, shelf, mains, white, variants, .. } = self.product;
        // The vendor's samples have ids as numbers; a generator of the vendor's makes texts of long ones.
        let product_id = if id.is_multiple_of(4) { json!(id.to_string()) } else { json!(id) };
        let mains: Vec<String> = mains.iter().map(|picture| self.picture(*picture)).collect();
        let mut image = json!({"images": mains});
        if let (Some(picture), Some(fields)) = (white, image.as_object_mut()) {
            fields.insert("whiteImage".to_owned(), json!(self.picture(*picture)));
        }
        let skus: Vec<Value> = variants
            .iter()
            .map(|variant| {
                let mut colour = json!({
                    "attributeID": 3216, "attributeValue": "\u{767d}\u{8272}", "attributeDisplayName": "\u{989c}\u{8272}"
                });
                if let (Some(picture), Some(fields)) = (variant.picture, colour.as_object_mut()) {
                    fields.insert("skuImageUrl".to_owned(), json!(self.picture(picture)));
                }
                let size = json!({"attributeID": 450, "attributeValue": "XL", "skuImageUrl": null});
                json!({
                    "attributes": [size, colour], "cargoNumber": "KY-W", "amountOnSale": 99, "price": 18,
                    "skuId": variant.id, "specId": "eb81c61de14f4adb405ffcc2c8a4a3fb"
                })
            })
            .collect();
        json!({
            "productID": product_id,
            "productType": "wholesale",
            "status": shelf.word(),
            "subject": "\u{793a}\u{4f8b}\u{5546}\u{54c1}",
            "createTime": compact(*modified, CHINA),
            "modifyTime": compact(*modified, self.offset),
            "productCargoNumber": "KY",
            "image": image,
            "skuInfos": skus,
            "saleInfo": {"priceRanges": [{"startQuantity": 1, "price": 18}], "amountOnSale": 399, "minOrderQuantity": 1}
        })
    }

    /// As the detail has it.
    fn info(&self) -> Value {
        let mut info = self.row();
        if let Some(fields) = info.as_object_mut() {
            fields.insert("description".to_owned(), json!(self.description()));
        }
        info
    }

    /// As the cross-border call has it: under other names, and without the time of its change.
    fn offer(&self) -> Value {
        let mut row = self.row();
        let mut take = |name: &str| row.get_mut(name).map(Value::take).unwrap_or_default();
        let (id, images, variants) = (self.product.id, take("image"), take("skuInfos"));
        let mut skus = Vec::new();
        for mut variant in variants.as_array().cloned().unwrap_or_default() {
            let mut take = |name: &str| variant.get_mut(name).map(Value::take).unwrap_or_default();
            let (attributes, sku_id, spec_id) = (take("attributes"), take("skuId"), take("specId"));
            skus.push(json!({
                "skuAttributes": attributes, "skuId": sku_id, "specId": spec_id, "amountOnSale": 99, "price": "18.00"
            }));
        }
        json!({
            "offerId": id, "subject": take("subject"), "subjectTrans": "an example", "status": take("status"),
            "minOrderQuantity": 1, "productImage": images, "productSkuInfos": skus, "description": self.description()
        })
    }

    /// HTML, with what a careless reader takes for a picture.
    fn description(&self) -> String {
        let image = |picture: &u32| {
            let address = self.picture(*picture).replace('&', "&amp;");
            match picture % 3 {
                0 => format!("<p><IMG alt=\"a > b\" src='{address}'/></p>"),
                1 => format!("<img\n style=\"width:100%\" src = \"{address}\" usemap=\"#m\">"),
                _ => format!("<div><img src={address} ></div>"),
            }
        };
        let images: String = self.product.details.iter().map(image).collect();
        format!(
            "<div id=\"offer-template-0\"></div><!-- <img src=\"img/comment.jpg\"> --><p>\u{89c4}\u{683c} 3 < 4 &amp; 5</p>\
             {images}<script>document.write('<img src=\"img/script.jpg\">')</script>\
             <img alt=\"none\"><img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\">"
        )
    }
}
