# Included by CMakeLists.txt: what clients of the daemon send.
lade_fuzzer(fuzz_session DEPS lade_daemon_core)
