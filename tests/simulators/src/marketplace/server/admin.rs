//! What no marketplace has: looking at the truth from another process, and letting things happen.

use domain::Marketplace;
use serde_json::{Value, json};

use super::wire;
use super::{Hub, Request, Said, Shop};

/// How far back changes are played when nobody says, in minutes.
const PLAYED_MIN: i64 = 10;

pub(super) fn answer(hub: &Hub, request: &Request) -> Said {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/simulator/state") => Said::json(200, &state(hub)),
        ("GET", "/simulator/truth") => shop(hub, request).map_or_else(unknown, |shop| Said::json(200, &truth(shop))),
        ("GET", "/simulator/products") => {
            shop(hub, request).map_or_else(unknown, |shop| Said::json(200, &products(shop)))
        }
        ("POST", "/simulator/touch") => shop(hub, request).map_or_else(unknown, |shop| touch(hub, request, shop)),
        ("POST", "/simulator/play") => shop(hub, request).map_or_else(unknown, |shop| play(hub, request, shop)),
        _ => Said::page(404),
    }
}

fn unknown() -> Said {
    Said::json(404, &json!({"error": "there is no such shop"}))
}

/// The shop that `marketplace` and `shop` name; the marketplace's first without a `shop`.
fn shop<'a>(hub: &'a Hub, request: &Request) -> Option<&'a Shop> {
    let parameters = wire::parameters(&request.query);
    let marketplace = Marketplace::from_name(parameters.get("marketplace")?).ok()?;
    let name = parameters.get("shop");
    let is_it =
        |shop: &&Shop| shop.options.marketplace == marketplace && name.is_none_or(|name| *name == shop.options.shop);
    hub.shops.iter().find(is_it)
}

fn state(hub: &Hub) -> Value {
    let shops = hub.shops.iter().map(|shop| {
        let market = shop.market();
        json!({
            "marketplace": shop.options.marketplace.as_str(),
            "shop": shop.options.shop,
            "owner": shop.options.owner,
            "orders": market.len(),
            "products": shop.assortment().len(),
            "changes": market.changes(),
            "messages": market.notices().count()
        })
    });
    json!({"shops": shops.collect::<Vec<_>>(), "calls": hub.calls()})
}

fn truth(shop: &Shop) -> Value {
    let market = shop.market();
    let mut orders: Vec<_> = market.truth().collect();
    orders.sort_unstable_by_key(|order| order.id);
    let row = |order: &super::super::Order| {
        json!({
            "trade_id": order.id.to_string(),
            "status": order.word(shop.options.marketplace),
            "modified": order.modified.to_rfc3339()
        })
    };
    orders.into_iter().map(row).collect()
}

/// Every product: how it stands, and where each of its pictures is.
fn products(shop: &Shop) -> Value {
    let assortment = shop.assortment();
    let mut products: Vec<_> = assortment.truth().collect();
    products.sort_unstable_by_key(|product| product.id);
    let row = |product: &super::super::Product| {
        json!({
            "product_id": product.id.to_string(),
            "status": product.shelf.word(),
            "modified": product.modified.to_rfc3339(),
            "pictures": product.pictures(assortment.picture_host())
        })
    };
    products.into_iter().map(row).collect()
}

/// Lets `products` of them change, each once, over the last `minutes`.
fn touch(hub: &Hub, request: &Request, shop: &Shop) -> Said {
    let parameters = wire::parameters(&request.query);
    let number = |key: &str| parameters.get(key).map(|text| text.parse::<u32>());
    let (Some(Ok(products)), minutes) = (number("products"), number("minutes")) else {
        return Said::json(400, &json!({"error": "products is not a number"}));
    };
    let minutes = minutes.and_then(Result::ok).map_or(PLAYED_MIN, i64::from);
    let now = hub.now();
    let products = usize::try_from(products).unwrap_or(usize::MAX);
    let touched = shop.assortment().touch((now.saturating_add_ms(-minutes * 60_000), now), products);
    Said::json(200, &json!({"changes": touched}))
}

/// Plays `changes` over the last `minutes`.
fn play(hub: &Hub, request: &Request, shop: &Shop) -> Said {
    let parameters = wire::parameters(&request.query);
    let number = |key: &str| parameters.get(key).map(|text| text.parse::<u32>());
    let (Some(Ok(changes)), minutes) = (number("changes"), number("minutes")) else {
        return Said::json(400, &json!({"error": "changes is not a number"}));
    };
    let minutes = minutes.and_then(Result::ok).map_or(PLAYED_MIN, i64::from);
    let now = hub.now();
    let from = now.saturating_add_ms(-minutes * 60_000);
    let changes = shop.market().play(from, now, u64::from(changes));
    Said::json(200, &json!({"changes": changes}))
}
