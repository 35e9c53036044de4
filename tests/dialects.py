"""Which tests run on SQLite and on PostgreSQL at every landing: files, or single tests of them.

Beside each stand the modules that it tries and that speak to the two databases differently: they
ask which one it is, lock rows or write SQL. `tests/test_architecture.py` fails when such a module
is not named.
"""

TRIED_BY = {
    "tests/accounts/test_audit.py": ("accounts.audit_guard",),
    "tests/accounts/test_flush.py": (),
    "tests/accounts/test_index_operations.py": ("accounts.index_operations",),
    "tests/accounts/test_key_rights.py": ("accounts.api_keys",),
    "tests/accounts/test_last_admin.py": ("accounts.services",),
    "tests/accounts/test_login.py": ("accounts.lockout",),
    "tests/accounts/test_ratelimit.py": ("accounts.ratelimit",),
    "tests/accounts/test_tables_at_once.py": (),
    "tests/accounts/test_token_families.py": (),
    "tests/cases/test_attaching.py": ("cases.attaching",),
    "tests/cases/test_bulk.py": ("cases.bulk", "cases.closing", "cases.resting"),
    "tests/cases/test_case_upkeep.py": (
        *("cases.case_alerts", "cases.checklists", "cases.escalating", "cases.handovers"),
        *("cases.merging", "cases.priority", "cases.tagging"),
    ),
    "tests/cases/test_casework.py": ("cases.casework",),
    "tests/cases/test_erasure.py": (),
    "tests/cases/test_evidence_meets_closing.py": (),
    "tests/cases/test_exchange_rates.py": ("cases.exchange_rates", "cases.reordering"),
    "tests/cases/test_handing_out.py": ("cases.handing_out",),
    "tests/cases/test_labels.py": (),
    "tests/cases/test_linking.py": ("cases.linking",),
    "tests/cases/test_reports.py": ("cases.report_subscribing",),
    "tests/cases/test_second_looks_at_once.py": ("cases.second_looks",),
    "tests/cases/test_services.py": ("cases.services",),
    "tests/cases/test_team_queues.py": ("cases.assigning", "cases.team_queues"),
    "tests/cases/test_undoing.py": ("cases.tallying",),
    "tests/cases/test_upgrading.py": ("cases.summing_up",),
    "tests/jobs/test_services.py::test_a_connection_that_the_server_ends_ends_no_job": (),
    "tests/jobs/test_services.py::test_of_ten_callers_all_get_the_same_job": (),
    "tests/jobs/test_services.py::test_of_ten_workers_one_claims_the_job": (),
    "tests/models_registry/test_approvals.py": ("models_registry.approvals",),
    "tests/models_registry/test_backtesting.py": ("models_registry.backtest_sampling",),
    "tests/models_registry/test_importing.py::test_it_arrives_as_a_challenger_on_record": (
        "models_registry.importing",
    ),
    "tests/models_registry/test_guarding.py::test_two_workers_roll_back_once": (
        "models_registry.guarding",
    ),
    "tests/models_registry/test_monitoring.py::test_a_message_that_comes_twice_makes_one_check": (
        "models_registry.monitoring",
    ),
    "tests/models_registry/test_promotion.py": ("models_registry.promotion",),
    "tests/models_registry/test_retraining.py": ("models_registry.retraining",),
    "tests/models_registry/test_shadowing.py::test_only_so_many_at_once": (
        "models_registry.shadowing",
    ),
    "tests/models_registry/test_threshold_moves.py::"
    "test_it_waits_as_a_challenger_with_its_lineage": ("models_registry.threshold_moves",),
    "tests/models_registry/test_training.py::"
    "test_of_eight_owners_who_click_at_once_one_training_comes": (),
    "tests/models_registry/test_training.py::"
    "test_a_challenger_is_registered_with_all_that_is_asked_of_it": ("models_registry.training",),
    "tests/notifications/test_route_views.py": ("notifications.routing",),
    "tests/riskplatform/test_health.py": ("riskplatform.health",),
    "tests/riskplatform/test_scheduling.py": ("riskplatform.scheduling",),
    "tests/riskplatform/test_server.py::test_a_database_that_was_restarted_is_found_again": (),
    "tests/riskplatform/test_server.py::test_requests_that_come_together_share_a_commit": (),
    "tests/scoring/test_copying.py": ("scoring.copying",),
    "tests/scoring/test_deployment.py": ("scoring.deployment",),
    "tests/scoring/test_feature_store.py": ("scoring.feature_store.redis",),
    "tests/scoring/test_feature_store_shared.py::"
    "test_threads_that_share_an_entity_lose_nothing_and_double_nothing": (),
    "tests/scoring/test_feature_store_shared.py::test_what_is_rolled_back_taught_nothing": (),
    "tests/scoring/test_feature_store_tails.py": ("scoring.feature_store.database",),
    "tests/scoring/test_group_commit.py": ("scoring.writer",),
    "tests/scoring/test_labelling.py::test_truths_that_two_record_at_once_are_recorded_once": (
        "scoring.labelling",
    ),
    "tests/scoring/test_policies.py": ("scoring.policies",),
    "tests/scoring/test_policy_store.py": ("scoring.policy_store",),
    "tests/scoring/test_postgres.py": ("scoring.postgres",),
    "tests/scoring/test_rebuilding.py::test_no_event_is_missed_by_those_who_score_meanwhile": (),
    "tests/scoring/test_services.py": ("scoring.services",),
    "tests/scoring/test_source_pages.py": ("scoring.sources",),
    "tests/scoring/test_source_tallies.py": ("scoring.source_tallies",),
    "tests/scoring/test_turns.py": (),
    "tests/scoring/test_watchlists.py": ("scoring.watchlists",),
}
