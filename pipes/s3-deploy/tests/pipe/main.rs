//! The compiled pipe as a user runs it: a clean environment, real requests against the local AWS, and what was
//! printed, asked for and stored afterwards. Every run's output is searched for its secrets, with DEBUG on.
//!
//! What a site's deploy has to do, and the test that shows it:
//!
//! | What | Test |
//! |---|---|
//! | changes found by content, from LIST alone | `manifest::an_unchanged_site_costs_a_listing_and_the_manifest` |
//! | objects in parts compared right | `manifest::a_large_object_in_parts_is_proven_with_and_without_a_manifest` |
//! | objects under SSE-KMS compared right, without a HEAD each | `encrypted::an_object_whose_etag_is_no_md5_is_compared_by_its_checksum_once` |
//! | a fresh checkout uploads nothing, an edit of the same size is found | `deploy::a_fresh_checkout_uploads_nothing_and_a_same_size_edit_is_found` |
//! | a foreign overwrite of the same size is found | `manifest::a_foreign_overwrite_of_the_same_size_is_found` |
//! | drift of headers is noticed | `manifest::objects_of_another_tool_are_looked_at_once` |
//! | … and repaired by a copy on the server | `manifest::a_changed_header_is_repaired_by_a_copy` |
//! | … on condition that both ends are as listed | `aws_itself::a_copy_for_headers_depends_on_both_ends_being_what_was_listed` |
//! | immutable assets, others, entry points, deletes, with barriers | `safety::assets_come_before_styles_before_pages_before_deletes` |
//! | deletes only after all uploads | `safety::a_failure_stops_before_the_next_phase` |
//! | too many deletes refused before the first | `safety::too_many_deletes_are_refused_before_the_first_change` |
//! | no deletes after a listing that failed | `deploy::a_listing_that_fails_half_way_changes_nothing` |
//! | no deletes outside of the prefix | `deploy::deletes_come_last_and_only_under_the_prefix` |
//! | old assets kept for a while, by reference | `releases::assets_stay_for_a_release_and_pages_go_at_once` |
//! | headers by pattern, layered, explained | `rules::a_dry_run_says_of_every_header_where_it_comes_from_to_people_and_to_machines` |
//! | content types with charset | `deploy::a_directory_becomes_the_content_of_the_bucket` |
//! | gzip, brotli, bodies that the build compressed | `rules::text_is_stored_compressed_and_a_second_run_knows_it` |
//! | redirects | `rules::netlify_files_are_followed_and_not_uploaded` |
//! | a dry run changes nothing | `deploy::a_dry_run_prints_the_plan_and_changes_nothing` |
//! | releases and putting one back | `releases::a_rollback_restores_the_pages_of_the_release_before` |
//! | CloudFront: changed paths only, several distributions | `caches::every_distribution_is_told_the_paths_that_it_serves` |
//! | the invalidation is waited for before deletes | `caches::nothing_is_deleted_while_an_invalidation_is_in_progress` |
//! | conditional deletes | `aws_itself::a_delete_depends_on_the_object_being_what_was_listed` |
//! | CRC64NVME on every upload | `aws_itself::uploads_go_to_the_host_of_the_bucket_with_a_checksum_in_place_of_a_signed_body` |
//! | … over all parts of a large one | `aws_itself::the_parts_of_a_large_file_are_completed_with_the_checksum_of_all_of_it` |
//! | large files in parts | `deploy::files_of_many_parts_arrive_whole` |
//! | a million objects in bounded memory | `ci/bench/load.sh`, whose short form `ci/check.sh` runs |
//! | parts never left behind | `safety::a_signal_in_the_middle_of_parts_leaves_none_behind` |
//! | ACL, storage class | `deploy::the_given_headers_are_on_every_object` |
//! | SSE, SSE-KMS, tags | `rules::encryption_tags_and_redirects_arrive` |
//! | errors of single keys of a bulk delete | `deploy::an_error_for_one_key_of_a_bulk_delete_is_a_failure` |
//! | credentials from the step's token | `credentials::row_1_the_token_buys_a_session_of_the_role` |
//! | two deploys at once | `safety::two_deploys_never_interleave` |
//! | an older build | `safety::an_older_build_never_replaces_a_newer_one` |
//! | split over several machines | `releases::parallel_steps_upload_the_assets_and_the_next_one_the_rest` |
//! | deletes of what deploys have put there only | `deletes::only_what_a_deploy_has_put_there_is_deleted` |
//! | an empty build | `deletes::a_build_that_made_nothing_empties_no_site` |
//! | what pages load exists | `links::it_is_a_refusal_before_any_change_if_the_user_wants_so` |
//! | visitors get what was deployed | `visitors::nothing_is_deleted_until_the_cache_shows_the_new_page` |
//! | SIGTERM and refusals in each phase | `phases::before_the_pages_the_old_site_is_live_and_whole` and its neighbours |
//! | nothing untrue and nothing left behind, whatever goes wrong on the way | `faults::a_site_under_faults` |
//! | whole for visitors, whenever a run is killed | `faults::a_site_whose_deploys_are_killed` |
//! | stores that are not AWS | `stores::a_store_that_refuses_checksums_gets_the_md5_it_knows` |
//! | the flags of `aws s3 sync` | `rules::extra_args_mean_what_they_mean_to_aws_s3_sync` |
//! | all of it at random | `property::the_bucket_equals_the_tree_after_every_deploy` |

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod aws_itself;
mod bad_input;
mod caches;
mod credentials;
mod deletes;
mod deploy;
mod encrypted;
mod faults;
mod interrupted;
mod links;
mod manifest;
mod network;
mod phases;
mod property;
mod releases;
mod renewal;
mod rules;
mod safety;
mod step;
mod stores;
mod tls;
mod visitors;

#[test]
fn the_table_names_tests_that_there_are() {
    let table = include_str!("main.rs")
        .lines()
        .filter(|line| line.starts_with("//! | "));
    for row in table.filter(|row| row.contains("::")) {
        let test = row.split('`').find(|part| part.contains("::")).unwrap();
        let (file, name) = test.split_once("::").unwrap();
        let path = format!("{}/tests/pipe/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        assert!(source.contains(&format!("fn {name}(")), "{test}");
    }
}
