//! Every key of LiteLLM's `config.yaml` and of `tollgate:`, once.
//!
//! Source: LiteLLM 1.109.1, `types/router.py`, `router.py`, `proxy/_types.py`, `proxy/proxy_server.py`, and "All
//! settings" <https://docs.litellm.ai/docs/proxy/config_settings>, read 2026-11-23.

use super::Grade::{Approximate, Exact, Unsupported};
use super::{Row, Section, Why};
use crate::config::params::DEFAULTS;

/// The sections that hold other sections, or lists of them.
pub(super) const NESTED: &[(Section, &str, Section)] = &[
    (Section::Document, "model_list", Section::ModelList),
    (Section::Document, "router_settings", Section::RouterSettings),
    (Section::Document, "litellm_settings", Section::LitellmSettings),
    (Section::Document, "general_settings", Section::GeneralSettings),
    (Section::Document, "tollgate", Section::Tollgate),
    (Section::ModelList, "litellm_params", Section::LitellmParams),
    (Section::ModelList, "model_info", Section::ModelInfo),
    (Section::Tollgate, "keys", Section::TollgateKey),
    (Section::Tollgate, "teams", Section::TollgateTeam),
    (Section::Tollgate, "users", Section::TollgateUser),
    (Section::Tollgate, "end_users", Section::TollgateEndUser),
    (Section::Tollgate, "budgets", Section::TollgateBudget),
    (Section::Tollgate, "shadow", Section::TollgateShadow),
    (Section::Tollgate, "identity", Section::TollgateIdentity),
    (Section::TollgateIdentity, "map", Section::TollgateIdentityMap),
    (Section::Tollgate, "rate_limit_service", Section::TollgateRateLimitService),
    (Section::Tollgate, "secrets", Section::TollgateSecrets),
    (Section::RouterSettings, "routing_strategy_args", Section::StrategyArgs),
];

/// Keys whose values, or lists of values, are graded one by one.
pub(super) const VALUES: &[(Section, &str, &[Row])] = &[
    (Section::RouterSettings, "routing_strategy", STRATEGIES),
    (Section::RouterSettings, "optional_pre_call_checks", OPTIONAL_CHECKS),
];

const STRATEGIES: &[Row] = &[
    exact("", &["simple-shuffle"]),
    approximate(PER_ENVOY_FACTS, &["least-busy", "latency-based-routing", "usage-based-routing-v2"]),
    approximate("a model without a price comes last", &["cost-based-routing"]),
    approximate("read as usage-based-routing-v2", &["usage-based-routing"]),
];

const OPTIONAL_CHECKS: &[Row] = &[
    exact("limits of deployments are enforced in any case", &["enforce_model_rate_limits"]),
    approximate(
        "without a memory: a hash of the conversation's beginning, of the session or of the key chooses among those that \
         are healthy",
        &["prompt_caching", "session_affinity", "deployment_affinity"],
    ),
    exact("budgets of deployments and providers are enforced in any case", &["router_budget_limiting"]),
    unsupported(why("where an earlier response was made is not kept", "use session_affinity"), &["responses_api_deployment_check"]),
    unsupported(why("the client's headers do not go upstream", "use extra_headers"), &["forward_client_headers_by_model_group"]),
    unsupported(why(LATER, "use session_affinity"), &["encrypted_content_affinity"]),
];

pub(super) const fn rows(section: Section) -> &'static [Row] {
    match section {
        Section::Document => DOCUMENT,
        Section::ModelList => MODEL_LIST,
        Section::LitellmParams => LITELLM_PARAMS,
        Section::ModelInfo => MODEL_INFO,
        Section::RouterSettings => ROUTER_SETTINGS,
        Section::LitellmSettings => LITELLM_SETTINGS,
        Section::GeneralSettings => GENERAL_SETTINGS,
        Section::Tollgate => TOLLGATE,
        Section::TollgateKey => TOLLGATE_KEY,
        Section::TollgateTeam => TOLLGATE_TEAM,
        Section::TollgateUser => TOLLGATE_USER,
        Section::TollgateModelBudget => TOLLGATE_MODEL_BUDGET,
        Section::TollgateBudgetLimit => TOLLGATE_BUDGET_LIMIT,
        Section::TollgateEndUser => TOLLGATE_END_USER,
        Section::TollgateBudget => TOLLGATE_BUDGET,
        Section::TollgateShadow => TOLLGATE_SHADOW,
        Section::TollgateIdentity => TOLLGATE_IDENTITY,
        Section::TollgateIdentityMap => TOLLGATE_IDENTITY_MAP,
        Section::TollgateRateLimitService => TOLLGATE_RATE_LIMIT_SERVICE,
        Section::TollgateSecrets => TOLLGATE_SECRETS,
        Section::StrategyArgs => STRATEGY_ARGS,
    }
}

const fn exact(reason: &'static str, keys: &'static [&'static str]) -> Row {
    Row { grade: Exact, why: Why { reason, instead: "" }, keys }
}

const fn approximate(reason: &'static str, keys: &'static [&'static str]) -> Row {
    Row { grade: Approximate, why: Why { reason, instead: "" }, keys }
}

/// With what comes nearer to LiteLLM.
const fn approximately(why: Why, keys: &'static [&'static str]) -> Row {
    Row { grade: Approximate, why, keys }
}

const fn unsupported(why: Why, keys: &'static [&'static str]) -> Row {
    Row { grade: Unsupported, why, keys }
}

/// A reason, and what to use instead.
const fn why(reason: &'static str, instead: &'static str) -> Why {
    Why { reason, instead }
}

const LATER: &str = "not supported yet";
pub(super) const LEAVE_OUT: &str = "leave it out";
const NO_PROVIDER: Why = why("for a provider that is not supported yet", "ask the model of another provider");
const NO_DATABASE: Why = why("there is no database", "write keys, teams and users under `tollgate:`");
const NO_UI: Why = why("there is no user interface", "read `/spend`, `/key/info` and Envoy's metrics");
const ENVOY_LOG: Why = why("records are Envoy's access log", "write `%FILTER_STATE(wasm.tollgate.*:PLAIN)%` into its format");
const ENVOY_TLS: Why = why("connections are Envoy's", "set it on the cluster");
const ENVOY_AUTH: Why = why(
    "who a client is, Envoy's own filters find out",
    "put jwt_authn, ext_authz, oauth2 or rbac before the filter, and name its result in `tollgate.identity`",
);
const ENVOY_HEALTH: Why = why("deployments are judged by their answers", "use Envoy's health checks or outlier detection on the cluster");
const ALERTS: Why = why("nothing is sent", "alert on Envoy's metrics");
const GUARDRAILS: Why = why("bodies are not inspected", "put Envoy's ext_proc before the filter");
const NO_CACHE: Why = why("answers are not cached", "use the provider's own prompt cache, and `optional_pre_call_checks: [prompt_caching]`");
const OWN_KEY: Why = why("credentials have no names of their own", "give each deployment its own api_key");
const TAG_LISTS: Why = why("tags are compared as a whole", "list the tags");
const FIRST_TOKEN: Why = why("one bound covers the time to the first token", "use stream_timeout");
const REDIS: Why = why("there is no client of Redis's in Envoy", "use tollgate.rate_limit_service, with Redis behind it");
const OTHER_FILTER: Why = why(LATER, "change the request in the client, or by a filter of Envoy's before this one");
const NO_ROUTE: Why = why(LATER, "a route of Envoy's own to the provider serves such endpoints");
const MOCK: Why = why("an answer always comes from a deployment", "point api_base at `mock-provider`");
const NO_SUCH: Why = why(LATER, LEAVE_OUT);
const PER_ENVOY_FACTS: &str = "what the workers of one Envoy have seen; Envoys do not share it";
const LIMITED: &str = "a share of the group's requests, as in LiteLLM's simple-shuffle, and a limit under every strategy; counted per \
                       Envoy";
const NO_TIER: Why = why("prompts and answers are counted together, and days end at midnight in UTC", "use rpm, tpm, rpd, tpd or max_parallel_requests");
const COOLDOWN: &str = "what the workers of one Envoy have seen; afterwards one request probes; the percentage rule for a lone deployment \
                        is not LiteLLM's";
const BY_CLASS: &str = "a 502 counts as an InternalServerError, and a connection that fails too";
const WAIT: &str = "Envoy waits whole seconds, and only before the same deployment is asked again";
const PARALLEL: &str = "another deployment is asked, nobody waits; counted per Envoy";
const NO_MEMORY: Why = why("affinity needs no memory: nothing expires", LEAVE_OUT);
const PER_ENVOY: Why = why("counted per Envoy, in memory, gone with a restart", "tollgate.rate_limit_service counts for all Envoys");
const GOOGLE_CREDENTIALS: &str = "service_account and authorized_user, as JSON or a mapping; a file with `tollgate run` alone; unset: \
                                  the metadata server; no workload identity federation";
const RETRIES: &str = "connections that fail or time out are repeated by Envoy itself, within the same number";
const PER_ATTEMPT: &str = "bounds one attempt; Envoy keeps one per-try timeout a request: that of its first deployment; the client gets 504, not 408";

const DOCUMENT: &[Row] = &[
    exact("", &["environment_variables"]),
    unsupported(why("a filter reads no files", "put the included files' content into this one"), &["include"]),
    unsupported(OWN_KEY, &["credential_list"]),
    unsupported(GUARDRAILS, &["guardrails", "policies"]),
    unsupported(ENVOY_LOG, &["callback_settings"]),
    unsupported(OTHER_FILTER, &["prompts"]),
    unsupported(
        NO_ROUTE,
        &[
            "mcp_servers", "vector_store_registry", "search_tools", "worker_registry", "files_settings",
            "finetune_settings", "assistant_settings", "mcp_tools",
        ],
    ),
];

const MODEL_LIST: &[Row] = &[exact("", &["model_name"])];

/// Fields of a price, for `litellm_params` and `model_info` alike.
const PRICES: Row = exact(
    "",
    &[
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
        "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr",
        "output_cost_per_reasoning_token", "input_cost_per_audio_token", "output_cost_per_audio_token",
        "cache_read_input_audio_token_cost", "input_cost_per_image_token", "output_cost_per_image_token",
        "input_cost_per_query",
    ],
);
const MEASURED_PRICES: Row = approximate(
    "of the seconds of a transcription, the characters of speech (white space too), the images that are made",
    &["input_cost_per_second", "output_cost_per_second", "input_cost_per_character", "input_cost_per_image", "output_cost_per_image"],
);
const REQUEST_PRICE: Row = approximate("charged for every answer; LiteLLM itself does not read it", &["input_cost_per_request"]);
const TIER_PRICES: Row = exact("where that tier served the request", &["*_priority", "*_flex"]);
const NO_TIER_PRICES: Row =
    unsupported(why("there are no batches, and of the tiers flex and priority alone are told apart", LEAVE_OUT), &["*_batches", "*_ultrafast", "*_balanced"]);
const TIERED_PRICES: Row = approximate(
    "beyond the threshold all tokens take that tier's prices",
    &["input_cost_per_token_above_*", "output_cost_per_token_above_*", "cache_read_input_token_cost_above_*",
      "cache_creation_input_token_cost_above_*"],
);
const OTHER_PRICES: Row = unsupported(
    why("no such thing is counted", "put it on every request: input_cost_per_request, or litellm_settings.cost_margin_config"),
    &[
        "input_cost_per_*", "output_cost_per_*", "cache_read_input_*", "cache_creation_input_*",
        "search_context_cost_*", "tiered_pricing", "off_peak_pricing", "code_interpreter_cost_per_session",
        "file_search_cost_*", "ocr_cost_*",
    ],
);

const LITELLM_PARAMS: &[Row] = &[
    exact("", &["model", "custom_llm_provider", "base_url", "organization", "extra_headers", "weight", "drop_params"]),
    exact("OPENAI_API_BASE and its like are not read", &["api_base"]),
    exact("", &["api_key"]),
    exact("", &["aws_bedrock_runtime_endpoint", "aws_region_name", "model_id", "region_name"]),
    exact(
        "Envoy signs: a literal is written into the cluster, a variable stays a reference",
        &["aws_access_key_id", "aws_secret_access_key", "aws_session_token"],
    ),
    approximate(
        "Envoy fetches and renews the credentials",
        &["aws_external_id", "aws_profile_name", "aws_role_name", "aws_session_name", "aws_web_identity_token"],
    ),
    unsupported(why("Envoy signs, and has no such parameter", "use aws_profile_name, with the rest in the profile"), &["aws_*"]),
    approximate(LIMITED, &["rpm", "tpm"]),
    approximate(PARALLEL, &["max_parallel_requests"]),
    approximate(PER_ATTEMPT, &["timeout", "stream_timeout"]),
    exact("a stream that is silent for longer ends with an error event", &["stream_idle_timeout"]),
    exact("the lowest first; deployments without one come last", &["order"]),
    approximate(COOLDOWN, &["cooldown_time"]),
    exact("", &["tags"]),
    approximate("the group takes the largest of its deployments'", &["num_retries"]),
    PRICES,
    MEASURED_PRICES,
    REQUEST_PRICE,
    NO_TIER_PRICES,
    TIER_PRICES,
    TIERED_PRICES,
    OTHER_PRICES,
    exact("fills what the client left out", DEFAULTS),
    exact("", &["extra_body", "additional_drop_params", "allowed_openai_params"]),
    exact("Azure's; also read from the query of api_base", &["api_version"]),
    exact("Azure's, a token that does not change; before api_key", &["azure_ad_token"]),
    exact("watsonx's", &["project_id", "token"]),
    unsupported(why("the client says whether it wants a stream", LEAVE_OUT), &["stream", "stream_options"]),
    approximate("counted per Envoy, by days of the clock in UTC", &["rpd", "tpd"]),
    approximately(PER_ENVOY, &["max_budget", "budget_duration", "soft_budget", "budget_limits"]),
    unsupported(NO_TIER, &["itpm", "otpm", "daily_reset_time"]),
    unsupported(TAG_LISTS, &["tag_regex"]),
    unsupported(FIRST_TOKEN, &["ttft_timeout"]),
    unsupported(OWN_KEY, &["litellm_credential_name"]),
    unsupported(why("retries are Envoy's, a client library has none of its own here", "use num_retries"), &["max_retries"]),
    unsupported(MOCK, &["mock_response", "mock_timeout"]),
    unsupported(GUARDRAILS, &["guardrails"]),
    unsupported(why("model_info stands beside litellm_params", "move it there"), &["model_info"]),
    unsupported(why("connections are Envoy's", "set tcp_keepalive on the cluster"), &["keepalive_seconds"]),
    unsupported(why("the client's credentials never go upstream", "give the deployment its own api_key"), &["configurable_clientside_auth_params"]),
    unsupported(why("a model is chosen by its name", "use model_group_alias or fallbacks"), &["auto_router_*"]),
    unsupported(why("LiteLLM's proxy speaks OpenAI's API", "write `openai/...` with its api_base"), &["use_litellm_proxy"]),
    unsupported(
        OTHER_FILTER,
        &["litellm_system_prompt", "prompt_id", "prompt_variables", "cache_control_injection_points"],
    ),
    unsupported(
        NO_SUCH,
        &["modify_params", "merge_reasoning_content_in_choices", "use_in_pass_through", "use_chat_completions_api"],
    ),
    approximate(GOOGLE_CREDENTIALS, &["vertex_credentials", "vertex_ai_credentials"]),
    exact("Entra ID's client credentials; an api_key goes first", &["tenant_id", "client_id", "client_secret"]),
    exact("https://cognitiveservices.azure.com/.default unless set", &["azure_scope"]),
    unsupported(why("Entra ID is asked for an application alone", "use tenant_id, client_id and client_secret"), &["azure_username", "azure_password"]),
    exact(
        "us-central1 unless set; the project is not needed with an api_key (express mode)",
        &["vertex_project", "vertex_location", "vertex_ai_project", "vertex_ai_location"],
    ),
    unsupported(
        NO_PROVIDER,
        &[
            "azure_*", "vertex_*",
            "watsonx_region_name", "gcs_bucket_name", "s3_bucket_name", "s3_encryption_key_id",
        ],
    ),
    unsupported(ENVOY_TLS, &["ssl_verify", "ssl_certificate", "http2", "force_ipv4"]),
];

const MODEL_INFO: &[Row] = &[
    exact("", &["id", "base_model", "max_input_tokens", "max_output_tokens", "mode"]),
    exact("tollgate's own: the Envoy cluster to use", &["cluster"]),
    approximate("read as max_output_tokens", &["max_tokens"]),
    exact("", &["supports_reasoning", "supports_response_schema", "supports_vision", "access_groups", "order"]),
    exact("the rules of the time zones are those of the build", &["access_windows"]),
    approximate(COOLDOWN, &["allowed_fails", "cooldown_time"]),
    approximate(BY_CLASS, &["allowed_fails_policy"]),
    PRICES,
    MEASURED_PRICES,
    REQUEST_PRICE,
    NO_TIER_PRICES,
    TIER_PRICES,
    TIERED_PRICES,
    OTHER_PRICES,
    unsupported(why("the provider says what its model can do", LEAVE_OUT), &["supports_*"]),
    unsupported(ENVOY_HEALTH, &["health_check_*", "disable_background_health_check"]),
    unsupported(why(LATER, "list the model in the team's `models`, under tollgate.teams"), &["team_id", "team_public_model_name"]),
    unsupported(why(LATER, "take the deployment out of the list"), &["blocked"]),
    unsupported(why("filtering is the router's", "use router_settings.enable_tag_filtering"), &["enable_tag_filtering", "allow_fail_open"]),
    unsupported(why(LATER, "use order, and rpm or tpm"), &["tier", "ptu_*"]),
    unsupported(why("the model's prefix says it", LEAVE_OUT), &["litellm_provider"]),
    unsupported(
        why("a note that nothing reads", LEAVE_OUT),
        &["db_model", "updated_at", "updated_by", "created_at", "created_by", "description"],
    ),
];

const ROUTER_SETTINGS: &[Row] = &[
    exact("", &["routing_strategy", "optional_pre_call_checks", "model_group_alias"]),
    exact("", &["fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "max_fallbacks"]),
    exact("", &["enable_tag_filtering", "tag_filtering_match_any"]),
    approximate("the length of a prompt is estimated; regions are not checked", &["enable_pre_call_checks"]),
    approximate(RETRIES, &["num_retries"]),
    approximate(BY_CLASS, &["retry_policy", "model_group_retry_policy", "allowed_fails_policy"]),
    approximate(COOLDOWN, &["allowed_fails", "cooldown_time"]),
    exact("", &["disable_cooldowns"]),
    approximate(WAIT, &["retry_after"]),
    approximate(PER_ATTEMPT, &["timeout", "stream_timeout"]),
    exact("a stream that is silent for longer ends with an error event", &["stream_idle_timeout"]),
    approximate(PARALLEL, &["default_max_parallel_requests"]),
    unsupported(NO_MEMORY, &["deployment_affinity_ttl_seconds", "model_group_affinity_config"]),
    unsupported(why("a fallback inside a group goes by order, then by the strategy", "use order"), &["enable_weighted_failover"]),
    unsupported(TAG_LISTS, &["tag_routing_prefix"]),
    unsupported(FIRST_TOKEN, &["ttft_timeout"]),
    approximately(PER_ENVOY, &["provider_budget_config"]),
    unsupported(
        REDIS,
        &["redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "redis_*", "cache_kwargs"],
    ),
    unsupported(ENVOY_HEALTH, &["enable_health_check_routing", "health_check_*"]),
    unsupported(why("connections are Envoy's", "set idle_timeout on the cluster"), &["client_ttl"]),
    unsupported(why("an invalid deployment is a fault of the config", "take it out of model_list"), &["ignore_invalid_deployments"]),
    unsupported(why("the filter writes into Envoy's log", "use Envoy's --log-level or --component-log-level wasm:debug"), &["debug_level", "set_verbose"]),
    unsupported(NO_CACHE, &["cache_responses", "caching_groups"]),
    unsupported(why(LATER, "repeat them in each deployment's litellm_params, by a YAML anchor"), &["default_litellm_params"]),
    unsupported(why("requests do not queue", LEAVE_OUT), &["default_priority", "polling_interval"]),
    unsupported(why("one strategy holds for all groups", "use order and weight"), &["routing_groups"]),
    unsupported(GUARDRAILS, &["guardrail_list"]),
    unsupported(ALERTS, &["alerting_config"]),
    unsupported(NO_ROUTE, &["search_tools", "assistants_config"]),
];

const LITELLM_SETTINGS: &[Row] = &[
    exact("", &["drop_params", "fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks"]),
    approximate(COOLDOWN, &["allowed_fails", "cooldown_time"]),
    approximate(WAIT, &["retry_after"]),
    approximate("no `[abc]` in the pattern of a model, no region", &["cost_discount_config"]),
    exact("on what the discount leaves", &["cost_margin_config"]),
    exact("429 unless set; LiteLLM's default is 422", &["budget_exceeded_status_code"]),
    approximate(RETRIES, &["num_retries"]),
    approximate("600 s unless set, not 6000; bounds one attempt, as `timeout` does", &["request_timeout"]),
    approximately(PER_ENVOY, &["max_budget", "budget_duration", "tag_budget_config"]),
    approximate(END_USERS, &["max_end_user_budget", "max_end_user_budget_id"]),
    approximate("days, weeks and months; hours and shorter are aligned in UTC", &["timezone", "budget_reset_time"]),
    unsupported(
        ENVOY_LOG,
        &[
            "success_callback", "failure_callback", "callbacks", "service_callbacks", "audit_log_callbacks",
            "json_logs", "set_verbose", "log_raw_request_response", "langfuse_default_tags",
            "standard_logging_payload_excluded_fields", "custom_prometheus_metadata_labels",
            "custom_prometheus_tags", "prometheus_metrics_config", "prometheus_initialize_budget_metrics",
            "require_auth_for_metrics_endpoint", "store_audit_logs", "s3_callback_params",
        ],
    ),
    unsupported(
        why("nothing of a prompt, completion or key is logged in the first place", LEAVE_OUT),
        &[
            "turn_off_message_logging", "redact_user_api_key_info", "redact_messages_in_exceptions",
            "global_disable_no_log_param",
        ],
    ),
    unsupported(
        why("there are no users but those of the file", "use max_budget of `tollgate.users`"),
        &["max_internal_user_budget", "internal_user_budget_duration", "max_ui_session_budget"],
    ),
    unsupported(
        NO_DATABASE,
        &[
            "default_internal_user_params", "default_team_params", "default_key_generate_params",
            "upperbound_key_generate_params", "key_generation_settings", "default_team_settings",
            "enable_redis_auth_cache",
        ],
    ),
    unsupported(ENVOY_TLS, &["ssl_verify", "ssl_certificate", "force_ipv4", "http2", "disable_aiohttp_transport"]),
    unsupported(why("no telemetry is sent", LEAVE_OUT), &["telemetry"]),
    unsupported(NO_CACHE, &["cache", "cache_params", "default_redis_ttl", "default_in_memory_ttl"]),
    unsupported(GUARDRAILS, &["guardrails", "skip_system_message_in_guardrail", "user_url_validation"]),
    unsupported(why(LATER, "use router_settings.model_group_alias"), &["model_alias_map", "image_generation_model"]),
    unsupported(why(LATER, "write the prices into litellm_params or model_info"), &["model_cost_map"]),
    unsupported(why(LATER, "use a key's or team's rpm_limit and tpm_limit"), &["priority_reservation", "priority_reservation_settings"]),
    unsupported(why(LATER, "use a key's models"), &["public_model_groups"]),
    unsupported(why("headers of traces are Envoy's", "use extra_headers, or Envoy's tracing"), &["forward_traceparent_to_llm_provider"]),
    unsupported(why("end users have accounts only where the config says so", LEAVE_OUT), &["disable_end_user_cost_tracking", "disable_end_user_cost_tracking_prometheus_only"]),
    unsupported(MOCK, &["network_mock"]),
    unsupported(NO_ROUTE, &["mcp_aliases"]),
    unsupported(
        NO_SUCH,
        &[
            "modify_params", "disable_add_prefix_to_prompt", "enable_json_schema_validation",
            "route_all_chat_openai_to_responses", "use_chat_completions_url_for_anthropic_messages",
            "add_function_to_prompt", "enable_preview_features",
        ],
    ),
];

const GENERAL_SETTINGS: &[Row] = &[
    exact("", &["master_key", "max_request_size_mb"]),
    exact("", &["fail_closed_budget_enforcement"]),
    unsupported(
        NO_DATABASE,
        &[
            "database_*", "allow_requests_on_db_unavailable", "disable_prisma_schema_update", "store_model_in_db",
            "supported_db_objects", "proxy_batch_write_at", "proxy_budget_rescheduler_min_time",
            "proxy_budget_rescheduler_max_time", "use_redis_transaction_buffer", "disable_spend_logs",
            "disable_spend_updates", "disable_error_logs", "store_prompts_in_spend_logs",
            "maximum_spend_logs_retention_period", "maximum_spend_logs_retention_interval",
            "user_api_key_cache_ttl", "user_api_key_cache_max_size", "disable_reset_budget",
            "service_account_settings", "default_team_disabled", "control_plane_url",
            "disable_adding_master_key_hash_to_db", "disable_master_key_return",
        ],
    ),
    unsupported(
        ENVOY_AUTH,
        &[
            "custom_auth", "custom_auth_run_common_checks", "enable_jwt_auth", "litellm_jwtauth",
            "enable_oauth2_auth", "enable_oauth2_proxy_auth", "allowed_routes", "public_routes",
            "admin_only_routes", "allowed_ips", "use_x_forwarded_for", "role_permissions", "enforce_rbac",
        ],
    ),
    unsupported(NO_UI, &["custom_sso", "ui_access_mode", "custom_ui_sso_sign_in_handler", "ui_*"]),
    unsupported(
        ENVOY_HEALTH,
        &[
            "background_health_checks", "health_check_*", "use_shared_health_check", "enable_health_check_routing",
        ],
    ),
    unsupported(
        ALERTS,
        &[
            "alerting", "alerting_threshold", "alert_types", "alerting_args", "alert_to_webhook_url",
            "spend_report_frequency",
        ],
    ),
    unsupported(
        why("a filter asks no key vault", "write `os.environ/NAME`, and have the vault's agent set NAME for Envoy"),
        &["key_management_system", "key_management_settings", "use_google_kms", "use_azure_key_vault"],
    ),
    unsupported(why("that needs no gateway for models", "write a route of Envoy's own"), &["pass_through_endpoints"]),
    unsupported(
        why("requests at a time are counted by key and deployment", "use Envoy's circuit breakers: max_requests on the cluster"),
        &["max_parallel_requests", "global_max_parallel_requests", "max_in_flight_requests_per_worker"],
    ),
    unsupported(
        why("usage is always asked for, and hidden from a client that did not ask", LEAVE_OUT),
        &["always_include_stream_usage"],
    ),
    unsupported(why("Envoy resets the upstream when the client is gone", LEAVE_OUT), &["cancel_on_disconnect"]),
    unsupported(why("a fallback never leads to a model that the key may not use", LEAVE_OUT), &["enforce_fallback_model_access"]),
    unsupported(why("spend is always reserved", LEAVE_OUT), &["disable_budget_reservation"]),
    unsupported(
        why("client credentials never go upstream", "give the deployment its own api_key"),
        &["allow_client_side_credentials", "forward_llm_provider_auth_headers"],
    ),
    exact("", &["token_rate_limit_type"]),
    unsupported(why(LATER, "send the key as Authorization, x-api-key, api-key or x-goog-api-key"), &["litellm_key_header_name"]),
    unsupported(why(LATER, "have the client send `user` in the body"), &["user_header_name", "user_header_mappings", "enforce_user_param"]),
    unsupported(OTHER_FILTER, &["enforced_params", "reject_clientside_metadata_tags"]),
    unsupported(
        why("a request names its model", "use router_settings.model_group_alias"),
        &["completion_model", "embedding_model", "image_generation_model", "moderation_model", "infer_model_from_keys"],
    ),
    unsupported(why("answers are bounded by Envoy's buffer", "set request_body_buffer_limit on the virtual host"), &["max_response_size_mb"]),
    unsupported(why("the client's headers do not go upstream", "use extra_headers or organization"), &["forward_client_headers_to_llm_api", "forward_openai_org_id"]),
    unsupported(REDIS, &["coordination_redis"]),
    unsupported(why("traces are Envoy's", "use Envoy's tracing and access log"), &["otel"]),
    unsupported(
        NO_SUCH,
        &[
            "disable_retry_on_max_parallel_request_limit_error", "enforce_fallback_budget",
            "sse_keepalive_ping_interval_seconds", "disable_responses_id_security", "check_file_before_upload",
            "cost_tracking_settings",
        ],
    ),
];

const TOLLGATE: &[Row] = &[
    exact("", &["keys", "teams", "users", "end_users", "budgets", "allow_anonymous", "record_fields", "shadow", "identity"]),
    exact("allow unless set: a model without a price costs nothing", &["unpriced"]),
    exact("", &["rate_limit_service", "secrets"]),
    exact("each Envoy enforces its part of what no rate limit service counts, rounded down", &["replicas"]),
];

const TOLLGATE_RATE_LIMIT_SERVICE: &[Row] = &[
    exact("budgets and limits of all Envoys, at most what is under way past a cap; max_parallel_requests stays per Envoy", &["cluster"]),
    exact("", &["address", "domain", "timeout", "failure_mode"]),
];

const TOLLGATE_SECRETS: &[Row] = &[exact("where Envoy has the secrets of `api_key: sds/NAME` from", &["path", "cluster"])];

const TOLLGATE_SHADOW: &[Row] = &[
    exact("", &["model_group", "to"]),
    exact("counted apart, in tollgate_shadow_*; a worker keeps 32 MiB of copies at most; a WebSocket has none", &["percent"]),
];

const TOLLGATE_IDENTITY: &[Row] = &[
    exact("", &["from", "metadata", "claim", "team_claim", "user_claim", "san", "map"]),
    exact("trusted: a filter before this one must always set or remove it", &["name", "team_header", "user_header"]),
];
const TOLLGATE_IDENTITY_MAP: &[Row] = &[exact("", &["match", "key_alias", "team_id", "user_id"])];

const STRATEGY_ARGS: &[Row] = &[
    exact("", &["ttl", "lowest_latency_buffer", "max_latency_list_size"]),
    unsupported(why("the mean of the samples counts", LEAVE_OUT), &["ttft_percentile"]),
];

const TOLLGATE_LIMITS: Row = approximate(
    "counted per Envoy, by minutes and days of the clock in UTC; tokens are set aside: the prompt and the client's `max_tokens`",
    &["rpm_limit", "tpm_limit", "rpd_limit", "tpd_limit", "max_parallel_requests"],
);
const TOLLGATE_BUDGETS: Row =
    approximately(PER_ENVOY, &["max_budget", "budget_duration", "soft_budget", "budget_limits"]);
const TOLLGATE_MODE: Row = exact("shadow: what would be refused is recorded, and served", &["mode"]);
const TOLLGATE_MODELS: Row = approximately(PER_ENVOY, &["model_max_budget"]);
const END_USERS: &str = "counted per Envoy, in memory; 100,000 end users that are not listed have accounts of their own, all others share one";

const TOLLGATE_KEY: &[Row] = &[
    exact("", &["key", "key_sha256", "key_alias", "team_id", "user_id", "models", "expires", "blocked"]),
    exact("", &["aliases", "tags", "budget_fallbacks"]),
    TOLLGATE_BUDGETS,
    TOLLGATE_LIMITS,
    TOLLGATE_MODE,
    TOLLGATE_MODELS,
];

const TOLLGATE_TEAM: &[Row] = &[
    exact("", &["team_id", "models", "tags"]),
    TOLLGATE_BUDGETS,
    TOLLGATE_LIMITS,
    TOLLGATE_MODE,
    TOLLGATE_MODELS,
];

const TOLLGATE_USER: &[Row] = &[
    exact("", &["user_id"]),
    unsupported(why("a user has none of its own", "use those of a key or a team"), &["tags", "model_max_budget"]),
    TOLLGATE_BUDGETS,
    TOLLGATE_LIMITS,
    TOLLGATE_MODE,
];

const TOLLGATE_END_USER: &[Row] = &[
    exact("", &["user_id", "budget_id"]),
    TOLLGATE_BUDGETS,
    TOLLGATE_LIMITS,
    TOLLGATE_MODE,
];

const TOLLGATE_BUDGET: &[Row] = &[exact("", &["budget_id"]), TOLLGATE_BUDGETS, TOLLGATE_LIMITS, TOLLGATE_MODE];

const TOLLGATE_MODEL_BUDGET: &[Row] = &[
    TOLLGATE_BUDGETS,
    approximately(PER_ENVOY, &["budget_limit", "time_period"]),
    TOLLGATE_LIMITS,
    TOLLGATE_MODE,
];

const TOLLGATE_BUDGET_LIMIT: &[Row] = &[
    approximately(PER_ENVOY, &["max_budget", "budget_duration", "soft_budget", "budget_limit", "time_period"]),
    TOLLGATE_MODE,
];
