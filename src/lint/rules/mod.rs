//! The rules, one a file.

mod apt_for_people;
mod background_job;
mod braces_without_dollar;
mod caches_in_template;
mod cd_lost;
mod copies_held_back;
mod cuts_own_channel;
mod debconf_asks;
mod download_to_shell;
mod duplicate_address;
mod fixed_placement;
mod foreign_code;
mod from_scratch;
mod identity_in_template;
mod keeps_error_page;
mod kernel_without_reboot;
mod keyword_case;
mod needs_terminal;
mod no_dns;
mod package_manager_asks;
mod path_replaced;
mod pipeline_hides_failure;
pub(super) mod plain_secret;
mod progress_bars;
mod raw_from_elsewhere;
mod reboot_in_run;
mod relative_destination;
mod relative_workdir;
mod secret_arg;
mod secret_argument;
mod secret_made_anew;
mod shell_state_lost;
mod stage_name_case;
mod sudo_asks;
mod sudo_for_user;
mod template_keeps_identity;
mod unpinned_package;
mod unused_arg;
mod unused_key;
mod unused_secret;
mod unverified_download;
mod upgrades_tools;
mod useless_command;
mod world_writable;

use super::rule::Rule;
use crate::diagnostic::Code;

/// All of them, by number.
pub(super) static ALL: &[&Rule] = &[
    &unused_key::RULE,
    &duplicate_address::RULE,
    &unused_arg::RULE,
    &unused_secret::RULE,
    &no_dns::RULE,
    &from_scratch::RULE,
    &copies_held_back::RULE,
    &braces_without_dollar::RULE,
    &needs_terminal::RULE,
    &upgrades_tools::RULE,
    &kernel_without_reboot::RULE,
    &sudo_asks::RULE,
    &sudo_for_user::RULE,
    &package_manager_asks::RULE,
    &debconf_asks::RULE,
    &reboot_in_run::RULE,
    &background_job::RULE,
    &cuts_own_channel::RULE,
    &cd_lost::RULE,
    &apt_for_people::RULE,
    &pipeline_hides_failure::RULE,
    &progress_bars::RULE,
    &keeps_error_page::RULE,
    &useless_command::RULE,
    &shell_state_lost::RULE,
    &path_replaced::RULE,
    &caches_in_template::RULE,
    &plain_secret::RULE,
    &secret_arg::RULE,
    &secret_argument::RULE,
    &foreign_code::RULE,
    &raw_from_elsewhere::RULE,
    &identity_in_template::RULE,
    &template_keeps_identity::RULE,
    &unverified_download::RULE,
    &download_to_shell::RULE,
    &world_writable::RULE,
    &secret_made_anew::RULE,
    &keyword_case::RULE,
    &stage_name_case::RULE,
    &relative_workdir::RULE,
    &fixed_placement::RULE,
    &unpinned_package::RULE,
    &relative_destination::RULE,
];

/// The codes of this room, by number.
pub static CODES: &[&Code] = &[
    &unused_key::CODE,
    &duplicate_address::CODE,
    &unused_arg::CODE,
    &unused_secret::CODE,
    &no_dns::CODE,
    &from_scratch::CODE,
    &copies_held_back::CODE,
    &braces_without_dollar::CODE,
    &needs_terminal::CODE,
    &upgrades_tools::CODE,
    &kernel_without_reboot::CODE,
    &sudo_asks::CODE,
    &sudo_for_user::CODE,
    &package_manager_asks::CODE,
    &debconf_asks::CODE,
    &reboot_in_run::CODE,
    &background_job::CODE,
    &cuts_own_channel::CODE,
    &cd_lost::CODE,
    &apt_for_people::CODE,
    &pipeline_hides_failure::CODE,
    &progress_bars::CODE,
    &keeps_error_page::CODE,
    &useless_command::CODE,
    &shell_state_lost::CODE,
    &path_replaced::CODE,
    &caches_in_template::CODE,
    &super::codes::SHELLCHECK,
    &plain_secret::CODE,
    &secret_arg::CODE,
    &secret_argument::CODE,
    &foreign_code::CODE,
    &raw_from_elsewhere::CODE,
    &identity_in_template::CODE,
    &template_keeps_identity::CODE,
    &unverified_download::CODE,
    &download_to_shell::CODE,
    &world_writable::CODE,
    &secret_made_anew::CODE,
    &keyword_case::CODE,
    &stage_name_case::CODE,
    &relative_workdir::CODE,
    &fixed_placement::CODE,
    &unpinned_package::CODE,
    &super::codes::UNUSED_PRAGMA,
    &super::codes::UNKNOWN_LINT,
    &relative_destination::CODE,
];
