/*
 * The symbols of UCX that the transport uses, each as a weak one.
 *
 *   libefasrd-1.22.so           names no UCX among its dependencies, and so
 *      |                        brings none into a process
 *      |  dlopen()              undefined weak symbols become 0
 *      |  ucx_efa_bind()        loader/bind.c: become those of one libuct, by
 *      v                        its handle, whatever file name that has
 *   ucx_efasrd_register()       UCX is called from here on
 *
 * Given to the compiler with -include, before UCX's headers. The linker's
 * `-z defs` refuses a symbol that is not here: add it. That a version of UCX
 * does not have one of them does not matter as long as it is not used.
 */
#ifndef UCT_EFA_UCX_SYMBOLS_H
#define UCT_EFA_UCX_SYMBOLS_H

/* Warns of each one that a file does not use, and has no option for that */
#ifdef __clang__
#  pragma clang system_header
#endif

#pragma weak ucs_arbiter_cleanup
#pragma weak ucs_arbiter_dispatch_nonempty
#pragma weak ucs_arbiter_group_cleanup
#pragma weak ucs_arbiter_group_init
#pragma weak ucs_arbiter_group_purge
#pragma weak ucs_arbiter_group_push_elem_always
#pragma weak ucs_arbiter_group_schedule_nonempty
#pragma weak ucs_arbiter_init
#pragma weak ucs_arch_x86_enable_rdtsc
#pragma weak ucs_calloc
#pragma weak ucs_class_call_cleanup_chain
#pragma weak ucs_class_check_new_func_result
#pragma weak ucs_class_free
#pragma weak ucs_class_malloc
#pragma weak ucs_config_clone_double
#pragma weak ucs_config_clone_int
#pragma weak ucs_config_clone_table
#pragma weak ucs_config_clone_uint
#pragma weak ucs_config_clone_ulong
#pragma weak ucs_config_doc_nop
#pragma weak ucs_config_help_enum
#pragma weak ucs_config_help_generic
#pragma weak ucs_config_help_table
#pragma weak ucs_config_rcache_table
#pragma weak ucs_config_release_nop
#pragma weak ucs_config_release_table
#pragma weak ucs_config_sprintf_bool
#pragma weak ucs_config_sprintf_double
#pragma weak ucs_config_sprintf_enum
#pragma weak ucs_config_sprintf_int
#pragma weak ucs_config_sprintf_memunits
#pragma weak ucs_config_sprintf_ternary_auto
#pragma weak ucs_config_sprintf_time
#pragma weak ucs_config_sprintf_uint
#pragma weak ucs_config_sscanf_bool
#pragma weak ucs_config_sscanf_enum
#pragma weak ucs_config_sscanf_table
#pragma weak ucs_config_sscanf_ternary
#pragma weak ucs_debug_asan_validate_address
#pragma weak ucs_debug_get_symbol_name
#pragma weak ucs_empty_function_return_unsupported
#pragma weak ucs_fatal_error_format
#pragma weak ucs_free
#pragma weak ucs_get_cpu_clocks_per_sec
#pragma weak ucs_get_page_size
#pragma weak ucs_global_opts
#pragma weak ucs_log_dispatch
#pragma weak ucs_malloc
#pragma weak ucs_mpool_chunk_free
#pragma weak ucs_mpool_chunk_malloc
#pragma weak ucs_mpool_cleanup
#pragma weak ucs_mpool_get
#pragma weak ucs_mpool_init
#pragma weak ucs_mpool_is_empty
#pragma weak ucs_mpool_params_reset
#pragma weak ucs_mpool_put
#pragma weak ucs_rcache_create
#pragma weak ucs_rcache_destroy
#pragma weak ucs_rcache_get
#pragma weak ucs_rcache_region_invalidate
#pragma weak ucs_rcache_region_put
#pragma weak ucs_rcache_set_params
#pragma weak ucs_realloc
#pragma weak ucs_snprintf_safe
#pragma weak ucs_snprintf_zero
#pragma weak ucs_stats_context_flags
#pragma weak ucs_stats_get_root
#pragma weak ucs_status_string
#pragma weak ucs_string_buffer_appendf
#pragma weak ucs_strncpy_zero
#pragma weak ucs_topo_find_device_by_bdf_name
#pragma weak ucs_vfs_obj_add_ro_file
#pragma weak ucs_vfs_show_primitive
#pragma weak ucs_x86_init_tsc_freq
#pragma weak uct_base_ep_t_class
#pragma weak uct_base_ep_t_init
#pragma weak uct_base_iface_estimate_perf
#pragma weak uct_base_iface_progress_disable
#pragma weak uct_base_iface_progress_enable
#pragma weak uct_base_iface_query
#pragma weak uct_base_iface_t_class
#pragma weak uct_base_iface_t_init
#pragma weak uct_base_rkey_compare
#pragma weak uct_component_register
#pragma weak uct_component_unregister
#pragma weak uct_components_list
#pragma weak uct_ep_destroy
#pragma weak uct_iface_base_query_v2
#pragma weak uct_iface_config_table
#pragma weak uct_iface_dump_am
#pragma weak uct_iface_handle_ep_err
#pragma weak uct_iface_mpool_init
#pragma weak uct_iface_param_am_alignment
#pragma weak uct_md_config_rcache_table
#pragma weak uct_md_config_table
#pragma weak uct_md_query_empty_md_resource
#pragma weak uct_md_set_rcache_params
#pragma weak uct_single_device_resource
#pragma weak uct_tl_register
#pragma weak uct_tl_unregister
#pragma weak void_class

#endif
