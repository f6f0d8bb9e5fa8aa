//! The promises of the functions and the adapters on a stack: the template on the local emulator, with
//! the built functions as its processes. One stack is started for all tests, on a free port, and stopped
//! after them. With `LOCALSTACK_ENDPOINT` the stack is on LocalStack: see `localstack.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod burst;
mod checks;
mod costs;
mod deploys;
mod front;
mod images;
mod journey;
mod load;
mod localstack;
mod money;
mod page;
mod permissions;
mod ports;
mod privacy;
mod refusals;
mod settings;
mod stage;
mod sweeps;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::stage::Stage;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One stack, one machine: side by side the tests would measure and disturb each other.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stage = match runtime.block_on(Stage::set()) {
        Ok(stage) => Arc::new(stage),
        Err(error) => {
            eprintln!("the stack did not start: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let trials = trials(Some((runtime.handle().clone(), Arc::clone(&stage))));
    if localstack::endpoint().is_some() {
        tell_skipped(&trials);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let left = runtime.block_on(stage.strike());
    if let Err(error) = left {
        eprintln!("the stack did not stop: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

type Context = Option<(tokio::runtime::Handle, Arc<Stage>)>;

/// A test that runs on the stage.
fn trial<F, R>(context: &Context, name: &str, claim: F) -> Trial
where
    F: FnOnce(Arc<Stage>) -> R + Send + 'static,
    R: Future<Output = anyhow::Result<()>>,
{
    let context = context.clone();
    let trial = Trial::test(name, move || {
        let (runtime, stage) = context.ok_or("no stage is set")?;
        runtime.block_on(claim(stage)).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let is_skipped = localstack::endpoint().is_some() && localstack::skipped(name).is_some();
    trial.with_ignored_flag(is_skipped || is_left_out(name))
}

/// Whether a claim is left out wherever the stack is, unless it is asked for.
fn is_left_out(name: &str) -> bool {
    match name.split_once("::").map(|(module, _)| module) {
        Some("page") => page::browser().is_none(),
        // Minutes long: `make bench-burst`.
        Some("burst") => true,
        _ => false,
    }
}

/// Says what is not tested on LocalStack, and why.
fn tell_skipped(trials: &[Trial]) {
    let skipped = trials.iter().filter_map(|trial| Some((trial.name(), localstack::skipped(trial.name())?)));
    let lines: Vec<String> = skipped.map(|(name, reason)| format!("skipped: {name}: {reason}")).collect();
    println!("LocalStack: {} of {} skipped\n{}", lines.len(), trials.len(), lines.join("\n"));
}

/// Every claim. What changes the stack's settings, and what reads all that was logged, comes last.
fn trials(context: Context) -> Vec<Trial> {
    let context = &context;
    vec![
        trial(context, "ports::the_orders_table_keeps_the_promises_of_its_port", ports::orders),
        trial(context, "ports::the_trades_table_keeps_the_promises_of_its_port", ports::trades),
        trial(context, "ports::the_details_of_trades_keep_the_promises_of_their_port", ports::details),
        trial(context, "ports::the_bucket_of_answers_keeps_the_promises_of_its_port", ports::raw_details),
        trial(context, "ports::the_sweeps_table_keeps_the_promises_of_its_port", ports::sweeps),
        trial(context, "ports::the_order_book_keeps_the_promises_of_its_port", ports::book),
        trial(context, "ports::the_ledger_keeps_the_promises_of_its_port", ports::ledger),
        trial(context, "ports::the_nonces_table_keeps_the_promises_of_its_port", ports::nonces),
        trial(context, "ports::the_events_queue_keeps_the_promises_of_its_port", ports::events),
        trial(context, "ports::the_quarantine_keeps_the_promises_of_its_port", ports::quarantine),
        trial(context, "ports::the_secret_keeps_the_promises_of_its_port", ports::secrets),
        trial(context, "ports::reports_from_many_writers_at_once_join", ports::race),
        trial(context, "journey::a_signed_push_becomes_the_status_of_the_order", journey::push_to_order),
        trial(context, "journey::a_poison_message_is_found_in_quarantine_with_its_reason", journey::poison),
        trial(context, "costs::a_batch_is_one_conditional_write_an_item_and_no_read", costs::batch),
        trial(context, "costs::an_order_with_trades_and_one_payment_is_read_by_four_calls", costs::order),
        trial(context, "costs::a_callback_is_one_conditional_put_first_and_duplicate", costs::callback),
        trial(
            context,
            "money::the_incident_s_order_refunds_what_was_paid_whatever_the_day_s_rate",
            money::incident_s_refund,
        ),
        trial(context, "money::every_gateway_s_callback_may_come_before_its_order", money::every_gateway),
        trial(context, "money::a_hundred_refunds_at_once_never_exceed_what_was_paid", money::hundred_refunds),
        trial(context, "money::a_hundred_creations_of_one_id_make_one_order", money::hundred_creations),
        trial(context, "refusals::strangers_and_replays_are_refused_with_the_contract_s_codes", refusals::codes),
        trial(context, "refusals::hostile_bodies_are_refused_and_nothing_is_enqueued", refusals::hostile),
        trial(context, "load::five_thousand_deliveries_end_in_the_right_orders", load::five_thousand),
        trial(
            context,
            "sweeps::a_shop_of_5_000_orders_backfilled_and_30_minutes_of_change_swept_equals_the_marketplace_s_truth",
            sweeps::five_thousand,
        ),
        trial(context, "sweeps::a_refund_at_the_marketplace_is_an_after_sale_of_the_trade", sweeps::refund),
        trial(context, "sweeps::an_answer_of_another_account_is_refused_and_nothing_is_written", sweeps::foreign),
        trial(
            context,
            "images::a_catalogue_s_pictures_are_in_the_bucket_exactly_as_their_host_has_them",
            images::catalogue,
        ),
        trial(context, "images::a_second_run_is_one_conditional_request_a_picture_and_no_put", images::second_run),
        trial(context, "images::a_push_brings_the_pictures_of_a_product_that_the_shop_follows", images::followed),
        trial(
            context,
            "images::a_redirect_to_an_address_of_this_machine_is_refused_without_a_connection",
            images::inward,
        ),
        trial(context, "images::a_picture_that_the_bucket_lost_is_found_and_brought_back", images::lost),
        // After those that compare all of the table with all of the bucket: these write as no function would.
        trial(context, "ports::the_products_of_the_images_table_keep_the_promises_of_their_port", ports::products),
        trial(context, "ports::the_manifest_keeps_the_promises_of_its_port", ports::manifest),
        trial(context, "ports::the_bucket_of_pictures_keeps_the_promises_of_its_port", ports::image_bucket),
        trial(context, "ports::the_image_queue_keeps_the_promises_of_its_port", ports::image_queue),
        trial(context, "ports::records_of_a_picture_from_many_writers_at_once_join", ports::image_race),
        trial(context, "checks::money_for_an_order_that_nobody_created_is_found_after_four_hours", checks::nobody_s),
        trial(context, "money::ten_thousand_callbacks_come_to_the_gateways_truth", money::ten_thousand_callbacks),
        trial(context, "costs::every_status_item_of_the_run_is_at_most_one_write_unit", costs::item_sizes),
        trial(context, "deploys::a_stack_is_made_updated_with_its_data_kept_and_taken_away", deploys::updates),
        trial(context, "deploys::a_stack_goes_with_its_data_when_that_is_said", deploys::with_data),
        trial(context, "deploys::new_code_comes_behind_an_alias_that_moves_to_its_version", deploys::shifts),
        trial(context, "settings::up_again_applies_new_settings_and_keeps_data", settings::up_again),
        trial(context, "settings::other_image_hosts_and_another_cap_hold_after_up_again", settings::images),
        trial(context, "permissions::each_function_may_do_what_it_does_and_nothing_else", permissions::exact),
        trial(context, "page::the_status_of_the_stack_is_drawn_by_a_real_browser", page::is_drawn),
        trial(context, "burst::fifty_thousand_events_are_drained_while_deliveries_go_on", burst::singles_day),
        trial(context, "privacy::no_body_secret_name_phone_or_address_is_in_any_log", privacy::canaries),
    ]
}
