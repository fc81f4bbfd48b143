# Included by CMakeLists.txt: what clients of the daemon send.
lade_fuzzer(fuzz_session DEPS lade_daemon_server)
lade_fuzzer(fuzz_usage_filter DEPS lade_daemon_server)
lade_fuzzer(fuzz_frontend_config DEPS lade_daemon_server)
lade_fuzzer(fuzz_tree_sync DEPS lade_daemon_server)
lade_fuzzer(fuzz_llb DEPS lade_daemon_server)
