"""The functions of ``pg_catalog`` that leave a session as it was.

From PostgreSQL 18's ``pg_proc``: what a person writes (no operators' or types' internals) and what, in every one of its
overloads, changes no session, server, sequence, large object or file, and runs no SQL text or function given to it.
So ``ts_rewrite`` (runs a query in one form), ``table_to_xml`` and ``pg_input_is_valid`` are not here.

What no list of names can say:

- A user's function of the same name is called instead if its arguments fit better, or if ``search_path`` names its
  schema before ``pg_catalog``.
- On an older server a name may be missing (``uuidv7``) or no keyword yet (``json_value``): then it is a user's.
- Some of these reach code of the user's own: operators of his types (``max``), checks of his domains
  (``json_populate_record``), his casts.
"""

from __future__ import annotations

_TEXT = """
ascii bit_count bit_length btrim casefold char_length character_length chr concat concat_ws convert convert_from
convert_to crc32 crc32c decode encode format get_bit get_byte hashtext hashtextextended icu_unicode_version initcap
is_normalized left length like lower lpad ltrim md5 normalize octet_length overlay parse_ident position quote_ident
quote_literal quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim set_bit set_byte
sha224 sha256 sha384 sha512 split_part starts_with string_to_array string_to_table strpos substr substring to_ascii
to_bin to_hex to_oct translate unicode_assigned unicode_version unistr upper
"""
_NUMBERS = """
abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd degrees
div erf erfc exp factorial floor gamma gcd generate_series generate_subscripts lcm lgamma ln log log10 min_scale mod
num_nonnulls num_nulls pg_size_bytes pg_size_pretty pi pow power radians random random_normal round scale sign sin sind
sinh sqrt tan tand tanh trim_scale trunc width_bucket
"""
_TIMES = """
age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract gen_random_uuid isfinite justify_days
justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps pg_sleep
pg_sleep_for pg_sleep_until statement_timestamp timeofday timezone to_char to_date to_number to_timestamp
transaction_timestamp uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
"""
_CASTS = """
bit bool box bpchar bytea char cidr circle date float4 float8 int2 int4 int8 interval line lseg macaddr macaddr8 money
name numeric oid path point polygon regclass text time timestamp timestamptz timetz varbit varchar xid xml
"""
_AGGREGATES = """
any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist dense_rank
every first_value json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict
jsonb_object_agg_unique jsonb_object_agg_unique_strict lag last_value lead max min mode nth_value ntile percent_rank
percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept
regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number stddev stddev_pop stddev_samp string_agg sum var_pop var_samp
variance xmlagg
"""
_ARRAYS = """
array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string
array_upper cardinality datemultirange daterange enum_first enum_last enum_range int4multirange int4range
int8multirange int8range isempty lower_inc lower_inf multirange nummultirange numrange range_merge trim_array
tsmultirange tsrange tstzmultirange tstzrange unnest upper_inc upper_inf
"""
_JSON = """
array_to_json json_array_element json_array_element_text json_array_elements json_array_elements_text json_array_length
json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object
json_object_field json_object_field_text json_object_keys json_populate_record json_populate_recordset json_strip_nulls
json_to_record json_to_recordset json_typeof jsonb_array_element jsonb_array_element_text jsonb_array_elements
jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contains
jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_field jsonb_object_field_text
jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz
jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb xml_is_well_formed
xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext xpath xpath_exists
"""
_SEARCH = """
array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery
querytree setweight strip to_tsquery to_tsvector ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank
ts_rank_cd ts_token_type tsquery_phrase tsvector_to_array websearch_to_tsquery
"""
_NETWORK_AND_SHAPES = """
abbrev area bound_box broadcast center diagonal diameter family height host hostmask inet_merge inet_same_family
isclosed ishorizontal isopen isparallel isperp isvertical macaddr8_set7bit masklen netmask network npoints pclose popen
radius set_masklen slope width
"""
_SESSION = """
current_database current_query current_schema current_schemas current_setting current_user getdatabaseencoding
inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid pg_blocking_pids pg_client_encoding
pg_conf_load_time pg_current_snapshot pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
pg_current_xact_id_if_assigned pg_is_in_recovery pg_is_other_temp_schema pg_is_wal_replay_paused pg_last_committed_xact
pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_listening_channels pg_my_temp_schema
pg_notification_queue_usage pg_postmaster_start_time pg_safe_snapshot_blocking_pids pg_snapshot_xip pg_snapshot_xmax
pg_snapshot_xmin pg_trigger_depth pg_visible_in_snapshot pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset
pg_xact_commit_timestamp pg_xact_status row_security_active session_user txid_current_if_assigned txid_current_snapshot
txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot version
"""
_CATALOG = """
acldefault aclexplode col_description format_type has_any_column_privilege has_column_privilege has_database_privilege
has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_parameter_privilege
has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
has_type_privilege mxid_age obj_description pg_available_extension_versions pg_available_extensions pg_basetype
pg_collation_actual_version pg_collation_for pg_collation_is_visible pg_column_compression pg_column_is_updatable
pg_column_size pg_conversion_is_visible pg_database_size pg_describe_object pg_encoding_to_char pg_filenode_relation
pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef
pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role
pg_identify_object pg_identify_object_as_address pg_index_column_has_property pg_index_has_property
pg_indexam_has_property pg_indexes_size pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
pg_partition_ancestors pg_partition_root pg_partition_tree pg_relation_filenode pg_relation_filepath
pg_relation_is_updatable pg_relation_size pg_sequence_parameters pg_settings_get_flags pg_statistics_obj_is_visible
pg_table_is_visible pg_table_size pg_tablespace_databases pg_tablespace_location pg_tablespace_size pg_timezone_names
pg_total_relation_size pg_ts_config_is_visible pg_ts_dict_is_visible pg_type_is_visible pg_typeof shobj_description
to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype
to_regtypemod
"""
_LASTING_AS_LONG_AS_THE_TRANSACTION = """
pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_current_xact_id pg_notify pg_try_advisory_xact_lock
pg_try_advisory_xact_lock_shared txid_current
"""

_IMPURE_OF_ONE_ARGUMENT = """
currval lo_close lo_creat lo_create lo_import lo_unlink nextval pg_advisory_lock pg_advisory_lock_shared
pg_advisory_unlock pg_advisory_unlock_shared pg_backup_start pg_backup_stop pg_cancel_backend
pg_create_physical_replication_slot pg_create_restore_point pg_drop_replication_slot pg_import_system_collations
pg_log_backend_memory_contexts pg_promote pg_replication_origin_create pg_replication_origin_drop
pg_replication_origin_session_setup pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared
pg_stat_reset_slru pg_terminate_backend pg_try_advisory_lock pg_try_advisory_lock_shared setseed ts_stat
"""

TRANSACTION_FUNCTIONS = frozenset(_LASTING_AS_LONG_AS_THE_TRANSACTION.split())
"""Those that leave the session as it was, but lock, send or take a transaction number: no mere reading."""

PURE_FUNCTIONS = TRANSACTION_FUNCTIONS.union(
    *(
        names.split()
        for names in (
            *(_TEXT, _NUMBERS, _TIMES, _CASTS, _AGGREGATES, _ARRAYS, _JSON, _SEARCH),
            *(_NETWORK_AND_SHAPES, _SESSION, _CATALOG),
        )
    )
)
"""Names in ``pg_catalog``; calling any of them changes no session state."""

ATTRIBUTE_FUNCTIONS = frozenset(_IMPURE_OF_ONE_ARGUMENT.split())
"""Impure ones that one argument is enough for: ``x.setseed`` calls it when x is a value, not a row."""
